"""Trials of ways to read texts: a linear classifier and a small network label rows that they were not fitted on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from textlstm.arrays.ragged import SplitWords
from textlstm.arrays.strings import TokenColumn
from textlstm.config import Task, TrainConfig
from textlstm.corpus.prepared import PreparedCorpus, PreparedSplit
from textlstm.fitting.auto import chosen_embeddings, with_values
from textlstm.fitting.auto_network import DataSize, choose_sizes
from textlstm.fitting.cross_fit import cross_fit
from textlstm.fitting.labelled_rows import LabelledRows
from textlstm.models.calibration.temperature import Wanted, fit_scales, row_losses
from textlstm.models.linear.svm import fit_linear_svm
from textlstm.models.linear.tfidf import SparseRows, join_columns
from textlstm.models.linear.word_ngrams import WordNgrams
from textlstm.text.tagger.pos import POS_TAGS
from textlstm.text.tokenized import TokenizedTexts

NUM_FOLDS = 3
_WEIGHT_OF_TAGS = 0.3
"""Length of a row's tag n-grams, beside its word n-grams of length 1: at equal length the few tags drown the words."""
_NETWORK_FOLDS = 2
_NETWORK_EPOCHS = 4


class Variant(NamedTuple):
    """One way to read texts."""

    name: str
    values: dict[str, Any]
    """Settings by key, beside those of all words."""
    tokens: TokenizedTexts
    """The sample as it is read then."""

    @property
    def reads_tags(self) -> bool:
        """Whether tags stand beside words."""
        return "model.pos_embedding_size" in self.values


@dataclass(frozen=True, slots=True)
class TextTrial:
    """How well one way of reading labels rows that it was not fitted on."""

    name: str
    right: np.ndarray
    """(N,) part of the labels of each row that are right, in [0, 1]."""
    losses: np.ndarray
    """(N,) nats, after temperature scaling."""

    @classmethod
    def of(cls, name: str, logits: np.ndarray, targets: np.ndarray, *, task: Task) -> "TextTrial":
        """Return the trial with these (N, L) logits of held-out rows."""
        (scale,), bias = fit_scales([logits], Wanted.of(targets, logits.shape[1], task=task))
        if task is Task.multi_label:
            right = ((logits > 0) == (targets > 0)).mean(axis=1)
        else:
            right = (logits.argmax(axis=1) == targets).astype(np.float64)
        return cls(name, right, row_losses(scale * logits + bias, targets, task=task))

    @property
    def accuracy(self) -> float:
        """Of held-out rows, in [0, 1]."""
        return float(self.right.mean())

    def standard_errors_above(self, other: "TextTrial") -> float:
        """Return the mean difference of accuracy, row by row, in its standard errors; 0 for equal rows."""
        differences = self.right - other.right
        error = float(differences.std(ddof=1)) / np.sqrt(len(differences))
        return float(differences.mean()) / error if error else 0.0

    def beats(self, other: "TextTrial", *, standard_errors: float) -> bool:
        """Return whether accuracy is higher beyond chance, and the log loss no higher."""
        enough = self.standard_errors_above(other) > standard_errors
        return enough and float(self.losses.mean()) <= float(other.losses.mean())


# The linear judge.


def held_out_logits(
    variant: Variant, targets: np.ndarray, folds: np.ndarray, *, num_labels: int, task: Task, seed: int
) -> np.ndarray:
    """Return (N, L) float32 logits by linear machines on n-grams; each fold is left out of its own fit."""
    tokens = variant.tokens
    counts = np.diff(tokens.offsets)
    rows, num_features = _ngrams(tokens.tokens, counts)
    if variant.reads_tags:
        assert tokens.pos is not None
        tags, num_tags = _ngrams(TokenColumn(POS_TAGS, tokens.pos.astype(np.int32)), counts)
        tags = tags._replace(values=tags.values * np.float32(_WEIGHT_OF_TAGS))
        rows, num_features = join_columns(rows, tags, num_left=num_features), num_features + num_tags
    logits = np.zeros((len(targets), num_labels), dtype=np.float32)
    for fold in range(NUM_FOLDS):
        kept, left = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        function = fit_linear_svm(
            rows.select(kept),
            targets[kept],
            num_features=num_features,
            num_labels=num_labels,
            task=task,
            strength=1.0,
            seed=seed,
        )
        logits[left] = function(rows.select(left))
    return logits


class _Ngrams(NamedTuple):
    rows: SparseRows
    num_features: int


def _ngrams(column: TokenColumn, counts: np.ndarray) -> _Ngrams:
    """Return TF-IDF rows of 1- and 2-grams; text i has the next `counts[i]` of the tokens."""
    split = SplitWords(column.compact(), counts)
    table = WordNgrams.fit(split, all_tokens=True)
    return _Ngrams(table.transform(split), table.num_features)


# The network as judge.


def network_logits(
    variant: Variant,
    table: pa.Table,
    targets: np.ndarray,
    corpus: PreparedCorpus,
    config: TrainConfig,
    *,
    stop: Callable[[], int] | None,
) -> np.ndarray:
    """Return (N, L) float32 logits by networks of a few epochs, each trained without the rows that it scores."""
    settings, free = with_values(config, variant.values), frozenset(config.auto)
    # Batches and learning rates as for a training of the rows of one fold.
    model = settings.model
    if "model.embeddings" in free:
        model = replace(model, embeddings=chosen_embeddings())
    num_rows = len(targets) * (_NETWORK_FOLDS - 1) // _NETWORK_FOLDS
    size = DataSize(num_rows, num_rows, len(variant.tokens.tokens), len(corpus.labels))
    sizes = choose_sizes(size, model, settings.training, free)
    training = replace(sizes.training, cross_fit=_NETWORK_FOLDS, epochs=_NETWORK_EPOCHS, adversarial=0.0, r_drop=0.0)
    settings = replace(settings, model=replace(sizes.model, linear_expert=False), training=training)
    read = PreparedSplit(_with_tokens(table, variant.tokens), digest="")
    nothing = PreparedSplit(read.table.slice(0, 0), digest="")
    rows = LabelledRows(read, targets, nothing, targets[:0])
    return cross_fit(rows, corpus, settings, work_dir=None, stop=stop).recurrent_logits


def _with_tokens(table: pa.Table, tokens: TokenizedTexts) -> pa.Table:
    """Return the rows of `table` with other tokens and tags."""
    offsets = pa.array(tokens.offsets.astype(np.int32))
    words = pa.array(list(tokens.tokens), pa.string())
    pos = pa.nulls(len(table), pa.list_(pa.uint8()))
    if tokens.pos is not None:
        pos = pa.ListArray.from_arrays(offsets, pa.array(tokens.pos, pa.uint8()))
    columns = {
        "tokens": pa.ListArray.from_arrays(offsets, words),
        "pos": pos,
        "num_removed": pa.array(tokens.num_removed, pa.int32()),
    }
    for name, column in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table
