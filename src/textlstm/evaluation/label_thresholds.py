"""From where on a label is given to a row that may have several: thresholds learned on validation rows."""

import numpy as np
from numpy.typing import NDArray

from textlstm.evaluation.scored_rows import Booleans, Floats


def fit_label_thresholds(probabilities: Floats, targets: Booleans) -> NDArray[np.float64]:
    """Return (L,) thresholds that give each label its best F1 on validation rows, halfway between two probabilities.

    Args:
        probabilities: (N, L) of a multi-label model.
        targets: (N, L) bool.

    Returns:
        Thresholds in (0, 1); 0.5 for a label that no row carries.
    """
    num_rows, num_labels = probabilities.shape
    thresholds = np.full(num_labels, 0.5)
    for label in range(num_labels):
        order = np.argsort(-probabilities[:, label], kind="stable")
        ranked, carried = probabilities[order, label].astype(np.float64), targets[order, label]
        if not carried.any():
            continue
        f1 = 2 * np.cumsum(carried) / (np.arange(1, num_rows + 1) + carried.sum())
        below = np.append(ranked[1:], 0.0)
        last_of_ties = ranked > below
        best = int(np.argmax(np.where(last_of_ties, f1, -1.0)))
        thresholds[label] = (ranked[best] + below[best]) / 2
    return np.asarray(np.clip(thresholds, 1e-6, 1 - 1e-6))
