"""Precision, recall, F1, MCC and their averages from class counts; vectorised over bootstrap resamples.

Every array has shape (..., L): the leading axes are resamples, or absent. Values equal scikit-learn's with
`zero_division=0`; averages run over the labels that occur as truth or as prediction, as scikit-learn's do.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack

from textlstm.evaluation.rows import UNKNOWN_TARGET, Booleans, Integers

Values = NDArray[np.float64]


class ClassCounts(NamedTuple):
    """What happened to each label, (..., L) each."""

    true_positives: Values
    support: Values
    """Rows that carry the label."""
    predicted: Values
    """Rows that were given the label."""

    @property
    def precision(self) -> Values:
        """(..., L)."""
        return _ratio(self.true_positives, self.predicted)

    @property
    def recall(self) -> Values:
        """(..., L)."""
        return _ratio(self.true_positives, self.support)

    @property
    def f1(self) -> Values:
        """(..., L): 2 TP / (rows that carry the label + rows that were given it)."""
        return _ratio(2 * self.true_positives, self.support + self.predicted)

    @property
    def present(self) -> NDArray[np.bool_]:
        """(..., L): the label occurs as truth or as prediction."""
        return (self.support + self.predicted) > 0


def row_contributions(targets: Integers | Booleans, predictions: Integers | Booleans, *, num_labels: int) -> csr_matrix:
    """Return (3 L', N): what each row adds to true positives, support and predicted, one under the other.

    L' is `num_labels`, plus one for the unknown label when single-label targets hold -1.
    """
    num_rows = len(targets)
    if targets.ndim == 1:
        unknown = targets == UNKNOWN_TARGET
        width = num_labels + int(unknown.any())
        rows = np.arange(num_rows)
        truth_ids = np.where(unknown, num_labels, targets).astype(np.int64)
        truth = csr_matrix((np.ones(num_rows), (rows, truth_ids)), shape=(num_rows, width))
        given = csr_matrix((np.ones(num_rows), (rows, predictions.astype(np.int64))), shape=(num_rows, width))
    else:
        truth, given = csr_matrix(targets.astype(np.float64)), csr_matrix(predictions.astype(np.float64))
    return csr_matrix(hstack([truth.multiply(given), truth, given]).T)


def class_counts(contributions: csr_matrix, weights: Values) -> ClassCounts:
    """Return counts (b, L') of rows weighted by `weights` (b, N)."""
    totals = np.asarray(contributions @ weights.T).T
    true_positives, support, predicted = np.split(totals, 3, axis=-1)
    return ClassCounts(true_positives, support, predicted)


def count_metrics(counts: ClassCounts, *, single_label: bool) -> dict[str, Values]:
    """Return every averaged figure by name, shaped like the leading axes of `counts`."""
    present = counts.present
    hits, support, predicted = (values.sum(axis=-1) for values in counts)
    figures = {
        "macro_f1": _mean(counts.f1, present),
        "micro_f1": _ratio(2 * hits, support + predicted),
        "weighted_f1": _ratio((counts.f1 * counts.support).sum(axis=-1), support),
        "macro_precision": _mean(counts.precision, present),
        "macro_recall": _mean(counts.recall, present),
    }
    if single_label:
        figures["accuracy"] = _ratio(hits, support)
        figures["balanced_accuracy"] = _mean(counts.recall, counts.support > 0)
        figures["mcc"] = matthews_correlation(counts)
    else:
        figures["micro_precision"] = _ratio(hits, predicted)
        figures["micro_recall"] = _ratio(hits, support)
    return figures


def matthews_correlation(counts: ClassCounts) -> Values:
    """Return the multi-class Matthews correlation (Gorodkin 2004); 0 where it is undefined."""
    hits, total = counts.true_positives.sum(axis=-1), counts.support.sum(axis=-1)
    covariance = hits * total - (counts.support * counts.predicted).sum(axis=-1)
    spread = (total**2 - (counts.predicted**2).sum(axis=-1)) * (total**2 - (counts.support**2).sum(axis=-1))
    return _ratio(covariance, np.sqrt(np.maximum(spread, 0)))


def _ratio(numerator: Values, denominator: Values) -> Values:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator, dtype=np.float64), where=denominator != 0)


def _mean(values: Values, where: NDArray[np.bool_]) -> Values:
    return _ratio(np.where(where, values, 0.0).sum(axis=-1), where.sum(axis=-1).astype(np.float64))
