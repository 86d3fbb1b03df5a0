"""Linear support vector machines, one a label against the rest (liblinear through scikit-learn)."""

import numpy as np

from textlstm.config import Task
from textlstm.models.sparse_rows import LinearFunction, SparseRows

_CONSTANT_LOGIT = 2.0
"""Size of the logit of a label that all or no training rows have; margins of clear cases lie around 1."""


def fit_margins(
    rows: SparseRows, targets: np.ndarray, *, num_features: int, num_labels: int, task: Task, strength: float, seed: int
) -> LinearFunction:
    """Fit L2-regularised squared-hinge machines.

    Args:
        rows: N training rows.
        targets: (N,) int label ids, or (N, L) 0/1 when a row may have several labels.
        num_features: columns of `rows`.
        num_labels: L.
        task: which of the two targets it is.
        strength: inverse regularisation strength C.
        seed: order in which the solver visits rows.

    Returns:
        One margin a label: near +1 for it, near -1 against it. Of two classes both share one machine with opposite
        signs. A label that no row has gets the constant -2, one that all rows have +2.
    """
    from scipy.sparse import csr_matrix
    from sklearn.svm import LinearSVC

    num_features = max(num_features, 1)  # no text has a word: one column of zeros keeps scikit-learn content
    matrix = csr_matrix((rows.values, rows.features, rows.offsets), shape=(len(rows.offsets) - 1, num_features))
    weights = np.zeros((num_features, num_labels), dtype=np.float32)
    bias = np.full(num_labels, -_CONSTANT_LOGIT, dtype=np.float32)
    if task is Task.multi_label:
        for label in range(num_labels):
            present = np.unique(targets[:, label] > 0.5)
            if len(present) == 2:
                machine = LinearSVC(C=strength, random_state=seed).fit(matrix, targets[:, label] > 0.5)
                weights[:, label], bias[label] = machine.coef_[0], machine.intercept_[0]
            elif present[0]:
                bias[label] = _CONSTANT_LOGIT
        return LinearFunction(weights, bias)

    present = np.unique(targets)
    if len(present) == 1:
        bias[present[0]] = _CONSTANT_LOGIT
        return LinearFunction(weights, bias)
    machine = LinearSVC(C=strength, random_state=seed).fit(matrix, targets)
    coefficients, intercepts = machine.coef_, machine.intercept_
    if len(present) == 2:
        coefficients = np.concatenate([-coefficients, coefficients])
        intercepts = np.concatenate([-intercepts, intercepts])
    weights[:, present], bias[present] = coefficients.T, intercepts
    return LinearFunction(weights, bias)
