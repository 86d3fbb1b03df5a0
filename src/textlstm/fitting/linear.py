"""The linear models of a training, fitted in a process of their own while the network trains.

They need no network: on BBC News they take 24 s of a training that takes 57 s without them, on two processors.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from textlstm.config import TrainConfig
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.embeddings.sources import vectors_of_expert
from textlstm.fitting.networks import LabelledRows
from textlstm.models.linear.fits import LinearFits, LinearModels
from textlstm.processes.call import BackgroundCall
from textlstm.text.language import is_spaceless

FEW_CHARACTERS = 400_000
"""Up to this many, the fits take less time than the start of a process (measured: 7 s a million characters)."""
MODULE = "textlstm.models.linear.fits"


def fits_beside_network(texts: Sequence[str]) -> bool:
    """Return whether the linear models of these training texts cost no time of their own: another processor fits."""
    return sum(map(len, texts)) > FEW_CHARACTERS and len(os.sched_getaffinity(0)) > 1


@contextmanager
def linear_models(
    rows: LabelledRows, corpus: PreparedCorpus, config: TrainConfig, *, score_validation: bool
) -> Iterator[Callable[[Callable[[], int] | None], LinearModels]]:
    """Start the fits, and give a function that returns them; it takes the function that tells of a stop.

    Args:
        rows: training and validation rows.
        corpus: for its labels and its task.
        config: all settings of stage train.
        score_validation: whether logits of validation rows are wanted.
    """
    train, validation = rows.train.texts(), rows.validation.texts()
    fits = LinearFits(
        train=train,
        validation=validation,
        targets=rows.joined().train_targets,
        num_labels=len(corpus.labels),
        task=corpus.task,
        config=config.model,
        pretrained=vectors_of_expert(config.model) if config.model.linear_expert else None,
        spaceless=is_spaceless([*train, *validation]),
        baseline=config.evaluation.baseline,
        score_validation=score_validation and config.model.linear_expert,
        seed=config.seed,
        row_weights=rows.joined().train.weights(),
    )
    # Few characters are done before another process would have started.
    if sum(map(len, train)) <= FEW_CHARACTERS:
        yield lambda _stop: fits.fit()
        return
    call = BackgroundCall(MODULE, fits.to_message())
    try:
        yield lambda stop: LinearModels.from_message(call.result(stop=stop))
    finally:
        call.close()
