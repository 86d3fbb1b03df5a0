"""Whether probabilities mean what they say: expected calibration error, reliability bins and the temperature."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textlstm.config import Task
from textlstm.evaluation.rows import UNKNOWN_TARGET, Booleans, Floats, Integers

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
    index = np.clip(np.ceil(confidences * num_bins).astype(np.int64) - 1, 0, num_bins - 1)
    counts = np.bincount(index, minlength=num_bins)
    divisor = np.where(counts > 0, counts, np.nan)
    return ReliabilityBins(
        counts=counts,
        mean_confidence=np.bincount(index, confidences, num_bins) / divisor,
        share_correct=np.bincount(index, correct.astype(np.float64), num_bins) / divisor,
    )


def expected_calibration_error(confidences: Floats, correct: Booleans, *, num_bins: int = NUM_BINS) -> float:
    """Return the expected calibration error of decisions with `confidences` (N,) that were `correct` (N,) or not."""
    return reliability_bins(confidences, correct, num_bins=num_bins).expected_error


def decision_bins(
    targets: Integers | Booleans, probabilities: Floats, *, task: Task, num_bins: int = NUM_BINS
) -> ReliabilityBins:
    """Return the bins of a model: of the predicted label; multi-label: of every (row, label) probability."""
    match task:
        case Task.multi_label:
            return reliability_bins(probabilities.ravel(), np.asarray(targets, bool).ravel(), num_bins=num_bins)
        case Task.single_label:
            correct = np.asarray(probabilities.argmax(axis=1) == targets, dtype=np.bool_)
            return reliability_bins(probabilities.max(axis=1), correct, num_bins=num_bins)


def fit_temperature(logits: Floats, targets: Integers | Booleans, *, task: Task = Task.single_label) -> float:
    """Return the temperature T in [0.05, 20] for which logits / T has the least log loss.

    Args:
        logits: (N, L) of validation rows.
        targets: (N,) int64 (rows with -1 are left out), or (N, L) bool.
        task: softmax over labels, or a sigmoid for each.

    Returns:
        T; 1.0 when there are no rows.
    """
    from scipy.optimize import minimize_scalar

    logits = logits.astype(np.float64)
    if task is Task.single_label:
        known = targets != UNKNOWN_TARGET
        logits, targets = logits[known], targets[known]
    if not len(targets):
        return 1.0
    found = minimize_scalar(
        lambda log_temperature: log_loss(logits / np.exp(log_temperature), targets, task=task),
        bounds=(np.log(0.05), np.log(20.0)),
        method="bounded",
        options={"xatol": 1e-5},
    )
    return float(np.exp(found.x))


def log_loss(logits: Floats, targets: Integers | Booleans, *, task: Task) -> float:
    """Return the mean negative log likelihood of `targets` under `logits` (N, L), in nats."""
    match task:
        case Task.multi_label:
            return float(np.mean(np.logaddexp(0.0, np.where(targets, -logits, logits))))
        case Task.single_label:
            shifted = logits - logits.max(axis=1, keepdims=True)
            of_truth = shifted[np.arange(len(targets)), targets]
            return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - of_truth))


def probabilities_from_logits(logits: Floats, *, task: Task, temperature: float = 1.0) -> NDArray[np.float64]:
    """Return (N, L) probabilities of logits / temperature: softmax, or a sigmoid for each label."""
    scaled = logits.astype(np.float64) / temperature
    match task:
        case Task.multi_label:
            return np.asarray(0.5 * (1 + np.tanh(scaled / 2)))
        case Task.single_label:
            exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
            return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))
