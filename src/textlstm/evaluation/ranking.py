"""ROC-AUC and average precision of each label against the rest, under any row weights.

The rows are sorted once; a bootstrap resample then costs one gather and one cumulative sum. Ties are handled as
scikit-learn does: rows of equal probability enter together.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from textlstm.evaluation.scored_rows import Booleans, Floats


class RankingScores(NamedTuple):
    """Means over the labels for which the figure is defined; NaN when it is for none."""

    roc_auc: float
    average_precision: float


@dataclass(frozen=True, slots=True)
class RankedLabels:
    """Sorted order of the rows for each label, and where in it the P (row, label) positives stand."""

    order: NDArray[np.int32]
    """(L, N) row numbers by falling probability."""
    label: NDArray[np.int32]
    """(P,) label of each positive, sorted by (label, rank)."""
    row: NDArray[np.int32]
    """(P,) its row."""
    tie_start: NDArray[np.int64]
    """(P,) flat index into the padded (L, N + 1) cumulative weights: everything before the positive's ties."""
    tie_end: NDArray[np.int64]
    """(P,) the same, its ties included."""
    positive_start: NDArray[np.int64]
    """(P,) index into the padded (P + 1) cumulative weights of positives: those before its ties."""
    positive_end: NDArray[np.int64]
    """(P,) the same, its ties included."""
    label_start: NDArray[np.int64]
    """(L + 1,) where each label's positives start."""

    @classmethod
    def build(cls, positives: Booleans, probabilities: Floats) -> "RankedLabels":
        """Sort rows for each label.

        Args:
            positives: (N, L) which rows have which label.
            probabilities: (N, L).
        """
        num_rows, num_labels = probabilities.shape
        # (N, L) become (L, N): each label ranks all rows.
        scores = np.ascontiguousarray(probabilities.T)
        order = np.argsort(-scores, axis=1, kind="stable").astype(np.int32)
        ranked = np.take_along_axis(scores, order, axis=1)
        # Mark where a new probability begins, and from that the first rank of each tie and the rank after it.
        new_value = np.ones((num_labels, num_rows + 1), dtype=np.bool_)
        new_value[:, 1:-1] = ranked[:, 1:] != ranked[:, :-1]
        positions = np.arange(num_rows + 1)
        first = np.maximum.accumulate(np.where(new_value[:, :-1], positions[:-1], 0), axis=1)
        after = np.minimum.accumulate(np.where(new_value[:, 1:], positions[1:], num_rows)[:, ::-1], axis=1)[:, ::-1]
        # (P,) positives by label and rank; indices below point into arrays laid out label by label.
        label, rank = np.nonzero(np.take_along_axis(positives.T, order, axis=1))
        label_start = np.concatenate([[0], np.cumsum(np.bincount(label, minlength=num_labels))])
        flat = label.astype(np.int64) * (num_rows + 1)
        tie_start, tie_end = flat + first[label, rank], flat + after[label, rank]
        own = flat + rank
        return cls(
            order=order,
            label=label.astype(np.int32),
            row=order[label, rank],
            tie_start=tie_start,
            tie_end=tie_end,
            positive_start=np.searchsorted(own, tie_start, side="left"),
            positive_end=np.searchsorted(own, tie_end, side="left"),
            label_start=label_start,
        )

    def score(self, weights: NDArray[np.float64]) -> RankingScores:
        """Return both figures under `weights` (N,), macro-averaged over labels."""
        num_labels, num_rows = self.order.shape
        # (L, N + 1) cumulative weights of all rows, and (P + 1,) of the positives.
        before = np.zeros((num_labels, num_rows + 1))
        np.cumsum(weights[self.order], axis=1, out=before[:, 1:])
        cumulative = before.ravel()
        own = weights[self.row]
        positives_before = np.concatenate([[0.0], np.cumsum(own)])
        start_of_label = positives_before[self.label_start[self.label]]
        # Weights up to the start and the end of each positive's ties: of positives, then of all rows.
        hits_start = positives_before[self.positive_start] - start_of_label
        hits_end = positives_before[self.positive_end] - start_of_label
        all_start, all_end = cumulative[self.tie_start], cumulative[self.tie_end]
        num_positives = np.diff(positives_before[self.label_start])
        num_negatives = weights.sum() - num_positives
        # Precision takes the ties with the positive; for ROC-AUC half of the tied negatives count as above it.
        precision = np.divide(hits_end, all_end, out=np.zeros_like(own), where=all_end > 0)
        negatives_above = ((all_start - hits_start) + (all_end - hits_end)) / 2
        precision_sum = np.bincount(self.label, own * precision, num_labels)
        above_sum = np.bincount(self.label, own * negatives_above, num_labels)
        # A resample can lose all positives of a label; such labels are left out of the means.
        has_both = (num_positives > 0) & (num_negatives > 0)
        if not has_both.any():
            return RankingScores(float("nan"), float("nan"))
        auc = 1 - above_sum[has_both] / (num_positives[has_both] * num_negatives[has_both])
        average_precision = precision_sum[has_both] / num_positives[has_both]
        return RankingScores(float(auc.mean()), float(average_precision.mean()))
