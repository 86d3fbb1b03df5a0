"""From the rows of a prepared corpus to trained networks."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from textlstm.config import TrainConfig
from textlstm.corpus.prepared import PreparedCorpus, PreparedSplit
from textlstm.embeddings import Embeddings, load_embeddings
from textlstm.errors import InputError
from textlstm.models.network import NetworkSizes, TextNetwork
from textlstm.training.encoding import EncodedSplit, encode_texts
from textlstm.training.loop import fit
from textlstm.training.reports import EpochReport, FitResult
from textlstm.vocabulary import Vocabulary

SEED_STRIDE = 1000
"""Between the seeds of the networks of one model."""


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Training and validation rows with their targets, (N,) int64 or (N, L) float32."""

    train: PreparedSplit
    train_targets: np.ndarray
    validation: PreparedSplit
    validation_targets: np.ndarray


def labelled_rows(corpus: PreparedCorpus) -> LabelledRows:
    """Return the rows to fit on.

    Raises:
        InputError: the corpus has no training or no validation rows.
    """
    train, validation = corpus.train, corpus.validation
    if not train or not validation:
        raise InputError("training needs rows in train and in validation; set data.train or data.validation_fraction")
    return LabelledRows(
        train,
        train.targets(corpus.labels, corpus.task),
        validation,
        validation.targets(corpus.labels, corpus.task),
    )


@dataclass(frozen=True, slots=True)
class NetworkInputs:
    """What the networks are trained on."""

    vocabulary: Vocabulary
    embeddings: Embeddings | None
    train: EncodedSplit
    validation: EncodedSplit


def network_inputs(rows: LabelledRows, config: TrainConfig) -> NetworkInputs:
    """Return the vocabulary of the training rows, its vectors, and the rows as ids."""
    vocabulary = Vocabulary.build(
        rows.train.token_counts(), max_size=config.model.vocabulary_size, min_count=config.model.min_count
    )
    return NetworkInputs(
        vocabulary,
        load_embeddings(config.model.embeddings, vocabulary, language=config.text.language),
        _encode(rows.train, vocabulary, rows.train_targets, config),
        _encode(rows.validation, vocabulary, rows.validation_targets, config),
    )


def fit_networks(
    inputs: NetworkInputs,
    corpus: PreparedCorpus,
    config: TrainConfig,
    *,
    work_dir: Path | None,
    on_epoch: Callable[[EpochReport], None] | None,
    stop: Callable[[], int] | None,
) -> tuple[list[TextNetwork], tuple[FitResult, ...]]:
    """Return `training.num_models` trained networks, each from a seed of its own, and how their trainings went."""
    matrix = None if inputs.embeddings is None else torch.from_numpy(inputs.embeddings.matrix)
    sizes = network_sizes(inputs.vocabulary, corpus, inputs.embeddings)
    networks, results = [], []
    for index in range(config.training.num_models):
        seed = config.seed + SEED_STRIDE * index
        torch.manual_seed(seed)
        network = TextNetwork(config.model, sizes, embeddings=matrix)
        result = fit(
            network,
            inputs.train,
            inputs.validation,
            config=config.training,
            task=corpus.task,
            seed=seed,
            freeze_epochs=config.model.freeze_epochs,
            checkpoint_dir=None if work_dir is None else work_dir / f"network-{index}",
            run_key=repr(config.model),
            on_epoch=on_epoch,
            stop=stop,
        )
        networks.append(network.eval())
        results.append(result)
    return networks, tuple(results)


def network_sizes(vocabulary: Vocabulary, corpus: PreparedCorpus, embeddings: Embeddings | None) -> NetworkSizes:
    """Return the sizes that the data decide."""
    word_size = 0 if embeddings is None else embeddings.matrix.shape[1]
    return NetworkSizes(vocabulary_size=len(vocabulary), num_labels=len(corpus.labels), word_size=word_size)


def _encode(split: PreparedSplit, vocabulary: Vocabulary, targets: np.ndarray, config: TrainConfig) -> EncodedSplit:
    return encode_texts(
        split.token_ids(vocabulary.encode),
        split.offsets(),
        split.pos_ids(),
        tokens=lambda: split.flat_tokens().to_pylist(),
        vocabulary=vocabulary,
        model=config.model,
        targets=targets,
    )
