"""From the rows of a prepared corpus to trained networks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from textlstm.arrays.ragged import offsets_of
from textlstm.config import ModelConfig, TrainConfig
from textlstm.corpus.prepared import PreparedCorpus, PreparedSplit
from textlstm.embeddings import Embeddings, load_embeddings
from textlstm.fitting.labelled_rows import LabelledRows
from textlstm.models.network.inputs import EncodedSplit, encode_texts
from textlstm.models.network.network import NetworkSizes, TextNetwork
from textlstm.storage.files import storage_errors
from textlstm.storage.mapped import MappedFile
from textlstm.training.job import EpochReport, FitResult, Step, TrainingJob
from textlstm.training.loop import fit
from textlstm.vocabulary import Vocabulary

SEED_STRIDE = 1000
"""Between the seeds of the networks of one model."""
MOST_TOKENS = 10_000_000
"""Token ids of training rows that are kept in memory; more lie in a file, where there is a folder for one."""
TOKENS_FILE = "tokens.bin"


@dataclass(frozen=True, slots=True)
class NetworkInputs:
    """The inputs of a training of networks."""

    vocabulary: Vocabulary
    embeddings: Embeddings | None
    train: EncodedSplit
    validation: EncodedSplit


def network_inputs(rows: LabelledRows, config: TrainConfig, *, work_dir: Path | None = None) -> NetworkInputs:
    """Return the vocabulary of the rows that networks learn from, its vectors, and the rows as ids.

    Many ids lie in a file of `work_dir`.
    """
    learned, targets = rows.learned()
    vocabulary = Vocabulary.build(
        learned.token_counts(), max_size=config.model.vocabulary_size, min_count=config.model.min_count
    )
    return NetworkInputs(
        vocabulary,
        load_embeddings(config.model.embeddings, vocabulary, language=config.text.language),
        encode_rows(learned, vocabulary, targets, config, work_dir=work_dir),
        encode_rows(rows.validation, vocabulary, rows.validation_targets, config),
    )


def encode_rows(
    split: PreparedSplit,
    vocabulary: Vocabulary,
    targets: np.ndarray,
    config: TrainConfig,
    *,
    work_dir: Path | None = None,
) -> EncodedSplit:
    """Return prepared rows as ids of `vocabulary`, with their targets.

    Where there is a `work_dir`, more than `MOST_TOKENS` ids lie in a file there.

    Raises:
        StorageError: the file cannot be written.
    """
    model = config.model
    if model.char_cnn_size or model.subword_buckets:
        # Unknown words are numbered over all rows.
        encoded = encode_texts(split.tokenized(), vocabulary=vocabulary, model=model, targets=targets)
    else:
        encoded = _encoded_by_blocks(split, vocabulary, targets, model, work_dir=work_dir)
    weights = split.weights()
    return encoded if weights is None else replace(encoded, weights=weights.astype(np.float32))


def _encoded_by_blocks(
    split: PreparedSplit, vocabulary: Vocabulary, targets: np.ndarray, model: ModelConfig, *, work_dir: Path | None
) -> EncodedSplit:
    """Return what `encode_texts` does, with the tokens of some rows at a time in memory."""
    blocks = (
        encode_texts(block.tokenized(), vocabulary=vocabulary, model=model, targets=np.zeros(len(block), np.int64))
        for block in split.blocks()
    )
    offsets = offsets_of(np.minimum(np.diff(split.offsets()), model.max_tokens))
    num_tokens = int(offsets[-1])
    if work_dir is None or num_tokens <= MOST_TOKENS:
        encoded = list(blocks)
        ids = np.concatenate([np.zeros(0, np.int32), *(block.token_ids for block in encoded)])
        tags = [block.pos_ids for block in encoded if block.pos_ids is not None]
        return EncodedSplit(ids, offsets, np.concatenate(tags) if tags else None, targets)

    # All ids, then all tags: a block writes its part of both.
    path, has_tags, start = work_dir / TOKENS_FILE, False, 0
    with storage_errors(path):
        path.unlink(missing_ok=True)  # an earlier file may still be mapped
        with path.open("wb") as stream:
            for block in blocks:
                stream.seek(block.token_ids.itemsize * start)
                stream.write(block.token_ids.data)
                if block.pos_ids is not None:
                    has_tags = True
                    stream.seek(block.token_ids.itemsize * num_tokens + start)
                    stream.write(block.pos_ids.data)
                start += len(block.token_ids)
        nothing = EncodedSplit(np.zeros(0, np.int32), offsets, np.zeros(0, np.uint8) if has_tags else None, targets)
        return nothing.in_file(MappedFile(path))


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
    inputs = network_inputs(rows.joined(), config, work_dir=work_dir)
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
