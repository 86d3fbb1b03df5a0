"""The linear models of a training, fitted in a process of their own while the network trains.

They need no network: on BBC News they take 24 s of a training that takes 57 s without them, on two processors.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from textlstm.config import TrainConfig
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.embeddings.sources import vectors_of_expert
from textlstm.fitting.cross_fit import stratified_folds
from textlstm.fitting.labelled_rows import LabelledRows
from textlstm.fitting.sampling import linear_rows
from textlstm.models.linear.fits import LinearFits, LinearModels
from textlstm.processes.call import BackgroundCall
from textlstm.processes.devices import num_cores
from textlstm.text.language_detection import is_spaceless

FEW_CHARACTERS = 400_000
"""Up to this many, the fits take less time than the start of a process (measured: 7 s a million characters)."""
FEW_ROWS_A_LABEL = 20
"""Where the middle one of several labels has fewer validation rows, its threshold comes from folds of all rows."""
NUM_FOLDS = 5
MODULE = "textlstm.models.linear.fits"


def fits_beside_network(texts: Sequence[str]) -> bool:
    """Return whether another processor fits the linear models of these training texts while the network trains."""
    return _fits_in_process(texts) and num_cores() > 1


def _fits_in_process(texts: Sequence[str]) -> bool:
    """Return whether the fits on these training texts are worth the start of a process."""
    return sum(map(len, texts)) > FEW_CHARACTERS


def needs_folds(validation_targets: np.ndarray, config: TrainConfig) -> bool:
    """Return whether validation rows, (N, L) 0/1, are too few for thresholds of labels, and the expert can help out."""
    if validation_targets.ndim == 1 or not config.model.linear_expert or config.training.cross_fit:
        return False
    return bool(np.median(validation_targets.sum(axis=0)) < FEW_ROWS_A_LABEL)


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
    # Of many rows, a sample that fits into memory.
    fits = _fits(linear_rows(rows, seed=config.seed), corpus, config, score_validation=score_validation)
    # Few characters are done before another process would have started.
    if not _fits_in_process(fits.train):
        yield lambda _stop: fits.fit()
        return
    # The texts go to the other process; none stay here while the network trains.
    call = BackgroundCall(MODULE, fits.to_message())
    fits.train.clear()
    fits.validation.clear()
    try:
        yield lambda stop: LinearModels.from_message(call.result(stop=stop))
    finally:
        call.close()


def _fits(rows: LabelledRows, corpus: PreparedCorpus, config: TrainConfig, *, score_validation: bool) -> LinearFits:
    train, validation, joined = rows.train.texts(), rows.validation.texts(), rows.joined()
    folds = None
    if score_validation and needs_folds(rows.validation_targets, config):
        folds = stratified_folds(joined.train_targets, num_folds=NUM_FOLDS, seed=config.seed)
    return LinearFits(
        train=train,
        validation=validation,
        targets=joined.train_targets,
        num_labels=len(corpus.labels),
        task=corpus.task,
        config=config.model,
        pretrained=vectors_of_expert(config.model) if config.model.linear_expert else None,
        spaceless=is_spaceless([*train, *validation]),
        baseline=config.evaluation.baseline,
        score_validation=score_validation and config.model.linear_expert,
        seed=config.seed,
        row_weights=joined.train.weights(),
        folds=folds,
        probabilities=joined.train_probabilities,
    )
