"""TF-IDF rows in compressed form, and linear functions of them.

The weights are those of scikit-learn's TfidfTransformer(sublinear_tf=True). scipy.sparse is not used where a model
labels: importing it takes about 0.4 s a process, and its products add in another order, so that saved models would not
predict the same to the last bit.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from textlstm.arrays.ragged import offsets_of, places_of, row_numbers


class SparseRows(NamedTuple):
    """N rows of mostly zeros: row i has values[offsets[i]:offsets[i + 1]] in the columns features[...]."""

    offsets: np.ndarray
    """(N + 1,) int64."""
    features: np.ndarray
    """(M,) int64 column numbers, ascending within a row."""
    values: np.ndarray
    """(M,) float32."""

    def select(self, chosen: np.ndarray) -> "SparseRows":
        """Return the rows with the numbers `chosen`, in that order."""
        counts = np.diff(self.offsets)[chosen]
        places = places_of(self.offsets[chosen], counts)
        return SparseRows(offsets_of(counts), self.features[places], self.values[places])


def stack_rows(blocks: Sequence[SparseRows]) -> SparseRows:
    """Return the rows of all `blocks`, one block under the other."""
    return SparseRows(
        offsets_of(np.concatenate([np.diff(block.offsets) for block in blocks])),
        np.concatenate([block.features for block in blocks]),
        np.concatenate([block.values for block in blocks]),
    )


def join_columns(left: SparseRows, right: SparseRows, *, num_left: int) -> SparseRows:
    """Return rows that hold the features of `left` (of `num_left` columns), then those of `right`."""
    offsets = left.offsets + right.offsets
    # Each row starts with its part of `left`; its part of `right` ends where the next row starts.
    left_counts, right_counts = np.diff(left.offsets), np.diff(right.offsets)
    from_left = places_of(offsets[:-1], left_counts)
    from_right = places_of(offsets[1:] - right_counts, right_counts)
    features, values = np.empty(offsets[-1], dtype=np.int64), np.empty(offsets[-1], dtype=np.float32)
    features[from_left], values[from_left] = left.features, left.values
    features[from_right], values[from_right] = right.features + num_left, right.values
    return SparseRows(offsets, features, values)


def inverse_document_frequencies(frequencies: np.ndarray, *, num_texts: int) -> np.ndarray:
    """Return (columns,) float32 weights of columns that occur in `frequencies` of `num_texts` texts."""
    smoothed: np.ndarray = np.log((1 + num_texts) / (1 + frequencies)) + 1
    return smoothed.astype(np.float32)


def count_rows(features: np.ndarray, rows: np.ndarray, *, num_features: int, num_rows: int) -> SparseRows:
    """Return how often each feature occurs in each row; (M,) `features` and `rows` have one entry an occurrence."""
    num_features = max(num_features, 1)
    # One number for each (row, feature): after sorting, a run of equal ones is an entry and its length the count.
    keys = rows * np.int64(num_features) + features
    keys.sort(kind="stable")  # fast if the rows are almost in order already
    firsts = np.flatnonzero(np.diff(keys, prepend=-1))
    rows, features = np.divmod(keys[firsts], num_features)
    offsets = offsets_of(np.bincount(rows, minlength=num_rows))
    return SparseRows(offsets, features, np.diff(firsts, append=len(keys)).astype(np.float32))


def tfidf_rows(counts: SparseRows, idf: np.ndarray) -> SparseRows:
    """Return rows of (1 + log count) * idf, each scaled to length 1; empty rows stay empty."""
    values = (1 + np.log(counts.values)) * idf[counts.features]
    rows = row_numbers(np.diff(counts.offsets))
    norms = np.sqrt(np.bincount(rows, weights=values * values, minlength=len(counts.offsets) - 1))
    return SparseRows(counts.offsets, counts.features, (values / norms[rows]).astype(np.float32))


class LinearFunction(NamedTuple):
    """L linear functions of sparse rows."""

    weights: np.ndarray
    """(columns, L) float32."""
    bias: np.ndarray
    """(L,) float32."""

    def __call__(self, rows: SparseRows) -> np.ndarray:
        """Return (N, L) float32 values; a row without features gets the bias."""
        values: np.ndarray = np.zeros((len(rows.offsets) - 1, self.weights.shape[1]), dtype=np.float32)
        # One product a row: its sum does not depend on the other rows of the batch.
        for row, (start, end) in zip(values, pairwise(rows.offsets.tolist()), strict=True):
            np.dot(rows.values[start:end], self.weights.take(rows.features[start:end], axis=0), out=row)
        values += self.bias
        return values
