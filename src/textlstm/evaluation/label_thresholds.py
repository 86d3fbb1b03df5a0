"""From where on a label is given to a row that may have several: thresholds learned on held-out rows."""

import numpy as np
from numpy.typing import NDArray

from textlstm.evaluation.scored_rows import Booleans, Floats

LEAST_ROWS_OF_LABEL = 20
"""Rows that have a label from which on its threshold is learned from them alone."""


def fit_label_thresholds(probabilities: Floats, targets: Booleans, *, least_rows: int = 1) -> NDArray[np.float64]:
    """Return (L,) thresholds that give each label its best F1 on held-out rows, halfway between two probabilities.

    Args:
        probabilities: (N, L) of a multi-label model.
        targets: (N, L) bool.
        least_rows: labels that fewer rows have share one threshold: that of their best F1 together.

    Returns:
        Thresholds in (0, 1); 0.5 for a label that no row has, unless it shares one.
    """
    thresholds = np.full(targets.shape[1], 0.5)
    is_rare = targets.sum(axis=0) < least_rows
    if targets[:, is_rare].any():
        thresholds[is_rare] = _best_threshold(probabilities[:, is_rare].ravel(), targets[:, is_rare].ravel())
    for label in np.flatnonzero(targets.any(axis=0) & ~is_rare).tolist():
        thresholds[label] = _best_threshold(probabilities[:, label], targets[:, label])
    return np.asarray(np.clip(thresholds, 1e-6, 1 - 1e-6))


def _best_threshold(probabilities: Floats, targets: Booleans) -> float:
    """Return the threshold with the best F1 of (N,) decisions; at least one of `targets` is true."""
    order = np.argsort(-probabilities, kind="stable")
    ranked, wanted = probabilities[order].astype(np.float64), targets[order]
    f1 = 2 * np.cumsum(wanted) / (np.arange(1, len(ranked) + 1) + wanted.sum())
    below = np.append(ranked[1:], 0.0)
    last_of_ties = ranked > below
    best = int(np.argmax(np.where(last_of_ties, f1, -1.0)))
    return float(ranked[best] + below[best]) / 2
