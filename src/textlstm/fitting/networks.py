"""From the rows of a prepared corpus to trained networks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from textlstm.arrays.ragged import offsets_of
from textlstm.config import TrainConfig
from textlstm.corpus.prepared import PreparedCorpus, PreparedSplit
from textlstm.embeddings import Embeddings, load_embeddings
from textlstm.errors import InputError
from textlstm.models.network.inputs import EncodedSplit, encode_texts
from textlstm.models.network.network import NetworkSizes, TextNetwork
from textlstm.training.job import EpochReport, FitResult, Step, TrainingJob
from textlstm.training.loop import fit
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

    def joined(self) -> "LabelledRows":
        """Return all rows as training rows, and none for validation."""
        both = pa.concat_tables([self.train.table, self.validation.table])
        return LabelledRows(
            PreparedSplit(both, digest=""),
            np.concatenate([self.train_targets, self.validation_targets]),
            PreparedSplit(self.validation.table.slice(0, 0), digest=""),
            self.validation_targets[:0],
        )


def labelled_rows(corpus: PreparedCorpus) -> LabelledRows:
    """Return the rows to fit on; a validation row whose only label training lacks teaches nothing and is left out.

    Raises:
        InputError: the corpus has no training or no validation rows.
    """
    train, validation = corpus.train, corpus.validation
    if not train or not validation:
        raise InputError("training needs rows in train and in validation; set data.train or data.validation_fraction")
    targets = validation.targets(corpus.labels, corpus.task)
    if targets.ndim == 1 and targets.min() < 0:
        known = targets >= 0
        validation, targets = PreparedSplit(validation.table.filter(pa.array(known)), digest=""), targets[known]
    return LabelledRows(train, train.targets(corpus.labels, corpus.task), validation, targets)


@dataclass(frozen=True, slots=True)
class NetworkInputs:
    """The inputs of a training of networks."""

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
        encode_rows(rows.train, vocabulary, rows.train_targets, config),
        encode_rows(rows.validation, vocabulary, rows.validation_targets, config),
    )


def encode_rows(split: PreparedSplit, vocabulary: Vocabulary, targets: np.ndarray, config: TrainConfig) -> EncodedSplit:
    """Return prepared rows as ids of `vocabulary`, with their targets."""
    if config.model.char_cnn_size or config.model.subword_buckets:
        # Unknown words are numbered over all rows.
        encoded = encode_texts(split.tokenized(), vocabulary=vocabulary, model=config.model, targets=targets)
    else:
        encoded = _encoded_by_blocks(split, vocabulary, targets, config)
    weights = split.weights()
    return encoded if weights is None else replace(encoded, weights=weights.astype(np.float32))


def _encoded_by_blocks(
    split: PreparedSplit, vocabulary: Vocabulary, targets: np.ndarray, config: TrainConfig
) -> EncodedSplit:
    """Return what `encode_texts` does, with the tokens of some rows at a time in memory."""
    blocks, start = [], 0
    for batch in split.table.to_batches():
        block = PreparedSplit(pa.Table.from_batches([batch]), digest="")
        its_targets = targets[start : start + batch.num_rows]
        start += batch.num_rows
        blocks.append(encode_texts(block.tokenized(), vocabulary=vocabulary, model=config.model, targets=its_targets))
    if len(blocks) < 2:
        return (
            blocks[0]
            if blocks
            else encode_texts(split.tokenized(), vocabulary=vocabulary, model=config.model, targets=targets)
        )
    has_pos = blocks[0].pos_ids is not None
    return EncodedSplit(
        token_ids=np.concatenate([block.token_ids for block in blocks]),
        offsets=offsets_of(np.concatenate([block.lengths for block in blocks])),
        pos_ids=np.concatenate([block.pos_ids for block in blocks if block.pos_ids is not None]) if has_pos else None,
        targets=np.concatenate([block.targets for block in blocks]),
    )


def fit_networks(
    inputs: NetworkInputs,
    corpus: PreparedCorpus,
    config: TrainConfig,
    *,
    work_dir: Path | None,
    on_epoch: Callable[[EpochReport], None] | None,
    stop: Callable[[], int] | None,
    on_step: Callable[[Step], None] | None = None,
    num_epochs: Sequence[int] = (),
    name: str = "network",
) -> tuple[list[TextNetwork], tuple[FitResult, ...]]:
    """Return `training.num_models` trained networks, each from a seed of its own, and the results of their trainings.

    Args:
        inputs: vocabulary, vectors and rows.
        corpus: for the task and its labels.
        config: all settings of stage train.
        work_dir: where checkpoints are kept, in a folder a network.
        on_epoch: called after each epoch.
        stop: asked between steps.
        on_step: called after each batch.
        num_epochs: of each network; empty means `training.epochs`.
        name: of the folders of checkpoints.
    """
    matrix = None if inputs.embeddings is None else torch.from_numpy(inputs.embeddings.matrix)
    sizes = network_sizes(inputs.vocabulary, corpus, inputs.embeddings)
    networks, results = [], []
    for index in range(config.training.num_models):
        # The first weights and everything random are functions of this network's own seed.
        seed = config.seed + SEED_STRIDE * index
        torch.manual_seed(seed)
        network = TextNetwork(config.model, sizes, embeddings=matrix)
        job = TrainingJob(
            network,
            inputs.train,
            inputs.validation,
            config=config.training,
            task=corpus.task,
            seed=seed,
            freeze_epochs=config.model.freeze_epochs,
            run_key=repr(config.model),
            num_epochs=num_epochs[index] if num_epochs else 0,
        )
        # An unfinished training in this folder is continued; a finished one gives its result again.
        checkpoint_dir = None if work_dir is None else work_dir / f"{name}-{index}"
        result = fit(job, checkpoint_dir=checkpoint_dir, on_epoch=on_epoch, on_step=on_step, stop=stop)
        networks.append(network.eval())
        results.append(result)
    return networks, tuple(results)


OnStep = Callable[[str, Step], None]
"""Called after each batch with the name of the training that it belongs to."""


def named_steps(on_step: OnStep | None, name: str) -> Callable[[Step], None] | None:
    """Return what one training calls after a batch."""
    return None if on_step is None else partial(on_step, name)


def refit_networks(
    rows: LabelledRows,
    results: Sequence[FitResult],
    corpus: PreparedCorpus,
    config: TrainConfig,
    *,
    work_dir: Path | None,
    on_epoch: Callable[[EpochReport], None] | None,
    stop: Callable[[], int] | None,
    on_step: Callable[[Step], None] | None = None,
) -> tuple[NetworkInputs, list[TextNetwork], tuple[FitResult, ...]]:
    """Train anew on training and validation rows, for the number of epochs that `results` of `fit_networks` found best.

    Early stopping's second pass: Goodfellow, Bengio and Courville, Deep Learning (2016), algorithm 7.2.
    """
    inputs = network_inputs(rows.joined(), config)
    num_epochs = [result.best_epoch for result in results]
    networks, refits = fit_networks(
        inputs,
        corpus,
        config,
        work_dir=work_dir,
        on_epoch=on_epoch,
        stop=stop,
        on_step=on_step,
        num_epochs=num_epochs,
        name="refit",
    )
    return inputs, networks, refits


def network_sizes(vocabulary: Vocabulary, corpus: PreparedCorpus, embeddings: Embeddings | None) -> NetworkSizes:
    """Return the sizes that the data decide."""
    word_size = 0 if embeddings is None else embeddings.matrix.shape[1]
    return NetworkSizes(vocabulary_size=len(vocabulary), num_labels=len(corpus.labels), word_size=word_size)
