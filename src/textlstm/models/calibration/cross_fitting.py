"""Held-out rows cut into folds: what is learned from four fifths of them is tried on the last fifth."""

from collections.abc import Iterator

import numpy as np

NUM_FOLDS = 5
LEAST_ROWS = 100
"""Fewer rows of known labels teach nothing that would hold for others."""


def known_rows(targets: np.ndarray, *, seed: int) -> np.ndarray:
    """Return the indices of rows with a known label (not -1), shuffled; (N,) int label ids are `targets`."""
    return np.random.default_rng(seed).permutation(np.flatnonzero(targets >= 0))


def folds(order: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield each fold of the rows `order` after the rows of all other folds."""
    for fold in range(NUM_FOLDS):
        yield np.delete(order, np.s_[fold::NUM_FOLDS]), order[fold::NUM_FOLDS]
