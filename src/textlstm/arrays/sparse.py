"""Rows that are mostly zeros, as three arrays, and a linear function of them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np


class SparseRows(NamedTuple):
    """N rows in compressed form: row i has `features[offsets[i]:offsets[i+1]]` with the values beside them."""

    offsets: np.ndarray
    """(N + 1,) int64."""
    features: np.ndarray
    """(M,) int64 column numbers, ascending within a row."""
    values: np.ndarray
    """(M,) float32."""

    def select(self, chosen: np.ndarray) -> "SparseRows":
        """Return the rows with the numbers `chosen`, in that order."""
        counts = np.diff(self.offsets)[chosen]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        places = np.arange(offsets[-1]) + np.repeat(self.offsets[chosen] - offsets[:-1], counts)
        return SparseRows(offsets, self.features[places], self.values[places])


def stack_rows(blocks: Sequence[SparseRows]) -> SparseRows:
    """Return the rows of all `blocks`, one block under the other."""
    counts = [np.diff(block.offsets) for block in blocks]
    return SparseRows(
        np.concatenate([[0], np.cumsum(np.concatenate(counts))]),
        np.concatenate([block.features for block in blocks]),
        np.concatenate([block.values for block in blocks]),
    )


def join_columns(left: SparseRows, right: SparseRows, *, num_left: int) -> SparseRows:
    """Return rows that hold the features of `left` (of `num_left` columns), then those of `right`."""
    left_counts, right_counts = np.diff(left.offsets), np.diff(right.offsets)
    offsets = left.offsets + right.offsets
    from_left = np.arange(len(left.features)) + np.repeat(right.offsets[:-1], left_counts)
    from_right = np.arange(len(right.features)) + np.repeat(left.offsets[1:], right_counts)
    features, values = np.empty(offsets[-1], dtype=np.int64), np.empty(offsets[-1], dtype=np.float32)
    features[from_left], values[from_left] = left.features, left.values
    features[from_right], values[from_right] = right.features + num_left, right.values
    return SparseRows(offsets, features, values)


class LinearFunction(NamedTuple):
    """L linear functions of sparse rows."""

    weights: np.ndarray
    """(columns, L) float32."""
    bias: np.ndarray
    """(L,) float32."""

    def __call__(self, rows: SparseRows) -> np.ndarray:
        """Return (N, L) float32 values; a row without features gets the bias."""
        values: np.ndarray = np.zeros((len(rows.offsets) - 1, self.weights.shape[1]), dtype=np.float32)
        for row, (start, end) in zip(values, pairwise(rows.offsets.tolist()), strict=True):
            np.dot(rows.values[start:end], self.weights.take(rows.features[start:end], axis=0), out=row)
        values += self.bias
        return values
