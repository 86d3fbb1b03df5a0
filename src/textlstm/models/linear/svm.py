"""Linear support vector machines, one a label against the rest (liblinear through scikit-learn)."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from textlstm.config import Task
from textlstm.models.linear.tfidf import LinearFunction, SparseRows

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_CONSTANT_LOGIT = 2.0
"""Size of the logit of a label that all or no training rows have; margins of clear cases lie around 1."""


def fit_linear_svm(
    rows: SparseRows,
    targets: np.ndarray,
    *,
    num_features: int,
    num_labels: int,
    task: Task,
    strength: float,
    seed: int,
    naive_bayes: bool = False,
    num_dense: int = 0,
    row_weights: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
) -> LinearFunction:
    """Fit L2-regularized squared-hinge machines.

    Args:
        rows: N training rows.
        targets: (N,) int label ids, or (N, L) 0/1 when a row may have several labels.
        num_features: columns of `rows`.
        num_labels: L.
        task: which of the two targets it is.
        strength: inverse regularization strength C.
        seed: order in which the solver visits rows.
        naive_bayes: scale the columns by `log_count_ratios` of each label before its machine is fitted, as the NBSVM of
            Wang and Manning (2012) does; the ratios end up in the weights.
        num_dense: columns at the end that hold values of any sign, not counts; naive Bayes does not scale them.
        row_weights: (N,) factors of the rows' losses and counts; None where all rows weigh alike.
        probabilities: (N, L) chance of each label; a row then counts on both sides of a machine, on each as much as its
            chance. None where `targets` are sure.

    Returns:
        One function for each label with a margin near +1 for the label and near -1 against it. Two classes share one
        machine with opposite signs. A label that no row has gets the constant -2, one that all rows have +2.
    """
    from scipy.sparse import csr_matrix
    from sklearn.svm import LinearSVC

    num_features = max(num_features, 1)  # no text has a word: one column of zeros satisfies scikit-learn
    matrix = csr_matrix((rows.values, rows.features, rows.offsets), shape=(len(rows.offsets) - 1, num_features))
    weights = np.zeros((num_features, num_labels), dtype=np.float32)
    bias = np.full(num_labels, -_CONSTANT_LOGIT, dtype=np.float32)
    fit_one = partial(_fit_one, strength=strength, seed=seed, num_dense=num_dense, row_weights=row_weights)

    # Labels that are not sure: one machine a label, for two classes one in all.
    if probabilities is not None:
        return _fit_probable(
            matrix,
            probabilities,
            LinearFunction(weights, bias),
            task=task,
            fit_one=partial(fit_one, naive_bayes=naive_bayes),
            row_weights=row_weights,
        )

    # Several labels a text: one machine for each label.
    if task is Task.multi_label:
        for label in range(num_labels):
            has_label = targets[:, label] > 0.5
            if has_label.all():
                bias[label] = _CONSTANT_LOGIT
            elif has_label.any():
                weights[:, label], bias[label] = fit_one(matrix, has_label, naive_bayes=naive_bayes)
        return LinearFunction(weights, bias)

    # One label a text: one machine for two classes, else one for each class against the rest.
    present = np.unique(targets)
    if len(present) == 1:
        bias[present[0]] = _CONSTANT_LOGIT
    elif len(present) == 2:
        against, favored = present
        coefficients, intercept = fit_one(matrix, targets == favored, naive_bayes=naive_bayes)
        weights[:, favored], bias[favored] = coefficients, intercept
        weights[:, against], bias[against] = -coefficients, -intercept
    elif naive_bayes:
        # The ratios differ from label to label, so each machine has its own scaled matrix.
        for label in present.tolist():
            weights[:, label], bias[label] = fit_one(matrix, targets == label, naive_bayes=True)
    else:
        # liblinear fits all classes against the rest in one call: (classes, F) coefficients.
        machine = LinearSVC(C=strength, random_state=seed).fit(matrix, targets, sample_weight=row_weights)
        weights[:, present], bias[present] = machine.coef_.T, machine.intercept_
    return LinearFunction(weights, bias)


_LEAST_CHANCE = 0.02
"""A label with a lower chance is none, and one with a chance above 1 less this is sure: rows stay few."""


def _fit_probable(
    matrix: "csr_matrix",
    probabilities: np.ndarray,
    function: LinearFunction,
    *,
    task: Task,
    fit_one: Callable[..., tuple[np.ndarray, float]],
    row_weights: np.ndarray | None,
) -> LinearFunction:
    """Fill `function`, of constant margins, with the machines of (N, L) probabilities."""
    weights, bias = function
    present = np.flatnonzero(probabilities.max(axis=0) >= _LEAST_CHANCE)
    one_for_two = task is Task.single_label and len(present) == 2
    for label in present[1:] if one_for_two else present:
        chances = probabilities[:, label]
        # (M,) rows of both sides: a row that is not sure is on both.
        with_label = np.flatnonzero(chances >= _LEAST_CHANCE)
        without = np.flatnonzero(chances <= 1 - _LEAST_CHANCE)
        if not len(without):
            bias[label] = _CONSTANT_LOGIT
            continue
        rows = np.concatenate([with_label, without])
        has_label = np.arange(len(rows)) < len(with_label)
        parts = np.where(has_label, chances[rows], 1 - chances[rows]).astype(np.float64)
        if row_weights is not None:
            parts *= row_weights[rows]
        weights[:, label], bias[label] = fit_one(matrix[rows], has_label, row_weights=parts)
    if one_for_two:
        against, favored = present
        weights[:, against], bias[against] = -weights[:, favored], -bias[favored]
    return LinearFunction(weights, bias)


def log_count_ratios(matrix: "csr_matrix", has_label: np.ndarray, row_weights: np.ndarray | None = None) -> np.ndarray:
    """Return (F,) log ratios of how often rows with and without a label hold each of F features.

    It is `log((p / sum(p)) / (q / sum(q)))` with p and q one more than the number of rows that hold the feature
    (Wang and Manning 2012, Baselines and Bigrams, equation 2).

    Args:
        matrix: (N, F) rows.
        has_label: (N,) bool.
        row_weights: (N,) how many rows each counts for; None for one each.
    """
    columns = matrix.shape[1]
    # (N,) labels become one flag for each stored value of the matrix.
    row_has_label = np.repeat(has_label, np.diff(matrix.indptr))
    counts = None if row_weights is None else np.repeat(row_weights, np.diff(matrix.indptr))
    of_label, of_others = (None, None) if counts is None else (counts[row_has_label], counts[~row_has_label])
    held = 1.0 + np.bincount(matrix.indices[row_has_label], of_label, minlength=columns)
    others = 1.0 + np.bincount(matrix.indices[~row_has_label], of_others, minlength=columns)
    ratios: np.ndarray = np.log(held / held.sum()) - np.log(others / others.sum())
    return ratios


def _fit_one(
    matrix: "csr_matrix",
    has_label: np.ndarray,
    *,
    strength: float,
    seed: int,
    naive_bayes: bool,
    num_dense: int,
    row_weights: np.ndarray | None,
) -> tuple[np.ndarray, float]:
    """Return (F,) weights and the intercept of the machine of one label."""
    from scipy.sparse import csr_matrix
    from sklearn.svm import LinearSVC

    ratios = None
    if naive_bayes:
        ratios = log_count_ratios(matrix, has_label, row_weights)
        # Dense columns have values of any sign, for which counts mean nothing: they keep the factor 1.
        ratios[len(ratios) - num_dense :] = 1.0
        scaled = (matrix.data * ratios[matrix.indices]).astype(matrix.dtype)
        matrix = csr_matrix((scaled, matrix.indices, matrix.indptr), shape=matrix.shape)
    machine = LinearSVC(C=strength, random_state=seed).fit(matrix, has_label, sample_weight=row_weights)
    # The ratios go into the weights, so that prediction reads rows that are not scaled.
    coefficients: np.ndarray = machine.coef_[0]
    return coefficients if ratios is None else coefficients * ratios, float(machine.intercept_[0])
