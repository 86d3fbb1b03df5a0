"""How well probabilities are calibrated: reliability bins. `models/calibration` calibrates them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from textlstm.config import Task
from textlstm.evaluation.bootstrap import Interval, proportion_interval
from textlstm.evaluation.scored_rows import Booleans, Floats, Integers

NUM_BINS = 15
"""Equal-width bins, as in Guo et al. 2017, "On Calibration of Modern Neural Networks"."""


@dataclass(frozen=True, slots=True)
class ReliabilityBins:
    """Rows grouped by confidence in `len(counts)` bins of equal width over [0, 1]."""

    counts: NDArray[np.int64]
    mean_confidence: NDArray[np.float64]
    """Mean stated probability of each bin; NaN in empty bins."""
    share_correct: NDArray[np.float64]
    """How often the rows of each bin were right; NaN in empty bins."""

    @property
    def expected_error(self) -> float:
        """Mean gap between confidence and share correct, weighted by rows: the expected calibration error."""
        gaps = np.abs(self.mean_confidence - self.share_correct)
        return float(np.nansum(gaps * self.counts) / max(1, self.counts.sum()))


def reliability_bins(confidences: Floats, correct: Booleans, *, num_bins: int = NUM_BINS) -> ReliabilityBins:
    """Group decisions by confidence.

    Args:
        confidences: (N,) stated probability of each decision, in [0, 1].
        correct: (N,) bool.
        num_bins: bins of equal width; bin i holds (i / num_bins, (i + 1) / num_bins].
    """
    confidences = confidences.astype(np.float64)
    # Bins are open at the left, so a confidence of 0 would fall before the first one without the clip.
    index = np.clip(np.ceil(confidences * num_bins).astype(np.int64) - 1, 0, num_bins - 1)
    counts = np.bincount(index, minlength=num_bins)
    # Division by NaN keeps empty bins out of the figures.
    divisor = np.where(counts > 0, counts, np.nan)
    return ReliabilityBins(
        counts=counts,
        mean_confidence=np.bincount(index, confidences, num_bins) / divisor,
        share_correct=np.bincount(index, correct.astype(np.float64), num_bins) / divisor,
    )


def decision_bins(
    targets: Integers | Booleans, probabilities: Floats, *, task: Task, num_bins: int = NUM_BINS
) -> ReliabilityBins:
    """Return the bins of a model: of the predicted label; multi-label: of every (row, label) probability."""
    match task:
        case Task.multi_label:
            # (N, L) become (N * L,): every label of every row is a decision.
            return reliability_bins(probabilities.ravel(), np.asarray(targets, bool).ravel(), num_bins=num_bins)
        case Task.single_label:
            correct = np.asarray(probabilities.argmax(axis=1) == targets, dtype=np.bool_)
            return reliability_bins(probabilities.max(axis=1), correct, num_bins=num_bins)


# Bins of equal count, for the eye: each holds as many decisions, so that each says as much.

_NUM_EQUAL = 10
_FEWEST_DECISIONS = 10
_LEAST_STATED = 0.05
"""Of a row that may have several labels, most labels are stated with next to nothing; those would fill all bins."""


class EqualBin(NamedTuple):
    """Decisions of similar stated probability."""

    stated: float
    """Mean stated probability."""
    right: float
    """Share that is right."""
    interval: Interval
    """Exact interval of that share."""
    num_decisions: int


def equal_count_bins(
    targets: Integers | Booleans, probabilities: Floats, *, task: Task, confidence: float
) -> list[EqualBin]:
    """Return up to 10 bins of equal count, rising; with several labels a row, of labels stated with 5 % or more."""
    match task:
        case Task.multi_label:
            stated, right = probabilities.ravel().astype(np.float64), np.asarray(targets, bool).ravel()
            kept = stated >= _LEAST_STATED
            stated, right = stated[kept], right[kept]
        case Task.single_label:
            stated = probabilities.max(axis=1).astype(np.float64)
            right = np.asarray(probabilities.argmax(axis=1) == targets, dtype=np.bool_)
    num_bins = min(_NUM_EQUAL, len(stated) // _FEWEST_DECISIONS)
    if not num_bins:
        return []
    # (N,) decisions by rising probability, cut into parts whose sizes differ by one at most.
    parts = np.array_split(np.argsort(stated, kind="stable"), num_bins)
    return [
        EqualBin(
            float(stated[part].mean()),
            float(right[part].mean()),
            proportion_interval(int(right[part].sum()), len(part), confidence=confidence),
            len(part),
        )
        for part in parts
    ]
