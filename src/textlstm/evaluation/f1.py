"""F1 of labels, written once: from counts, and of the rows that a label ranks first. numpy alone."""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def f1_score(true_positives: np.ndarray, support: np.ndarray, predicted: np.ndarray) -> Values:
    """Return 2 TP / (rows that have the label + rows that were given it), 0 where there are neither; any shape.

    >>> f1_score(np.array([2, 0]), np.array([3, 0]), np.array([5, 0])).tolist()
    [0.5, 0.0]
    """
    total = np.asarray(support + predicted, dtype=np.float64)
    return np.divide(2.0 * true_positives, total, out=np.zeros_like(total), where=total != 0)


def f1_by_rank(scores: np.ndarray, targets: np.ndarray) -> Values:
    """Return (N, L): F1 of each label when its k rows of highest score are given it, for k from 1 to N.

    Args:
        scores: (N, L) logits or probabilities; of equal ones the earlier row ranks first.
        targets: (N, L) bool.
    """
    # (N, L): each label ranks the rows for itself; hits after k rows are the true positives at that k.
    order = np.argsort(-scores, axis=0, kind="stable")
    hits = np.cumsum(np.take_along_axis(targets, order, axis=0), axis=0)
    return f1_score(hits, targets.sum(axis=0), np.arange(1, len(scores) + 1)[:, None])
