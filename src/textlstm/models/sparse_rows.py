"""Rows that are mostly zeros, as three arrays, and a linear function of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional


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


def join_rows(blocks: Sequence[SparseRows]) -> SparseRows:
    """Return the rows of all `blocks`, one block under the other."""
    counts = [np.diff(block.offsets) for block in blocks]
    return SparseRows(
        np.concatenate([[0], np.cumsum(np.concatenate(counts))]),
        np.concatenate([block.features for block in blocks]),
        np.concatenate([block.values for block in blocks]),
    )


class LinearFunction(NamedTuple):
    """L linear functions of sparse rows."""

    weights: np.ndarray
    """(columns, L) float32."""
    bias: np.ndarray
    """(L,) float32."""

    def __call__(self, rows: SparseRows) -> np.ndarray:
        """Return (N, L) float32 values; a row without features gets the bias."""
        summed = functional.embedding_bag(
            torch.from_numpy(rows.features),
            torch.from_numpy(self.weights),
            torch.from_numpy(rows.offsets[:-1]),
            mode="sum",
            per_sample_weights=torch.from_numpy(rows.values),
        )
        values: np.ndarray = summed.numpy() + self.bias
        return values
