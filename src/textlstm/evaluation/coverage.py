"""What abstaining buys: error against coverage, and how a promised error rate fared on the evaluated rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textlstm.config import Task
from textlstm.evaluation.resampling import Interval, proportion_interval
from textlstm.evaluation.rows import Booleans, Floats, Integers


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """Error of the most confident rows, one point for each distinct confidence."""

    threshold: NDArray[np.float64]
    """(K,) falling."""
    coverage: NDArray[np.float64]
    """(K,) part of the rows with at least that confidence."""
    risk: NDArray[np.float64]
    """(K,) part of those that is wrong."""

    @property
    def area(self) -> float:
        """Mean risk over all coverages (AURC): 0 is perfect, the overall error is what random confidences give."""
        return float((self.risk * np.diff(self.coverage, prepend=0.0)).sum())


@dataclass(frozen=True, slots=True)
class Abstention:
    """How the decisions at or above a threshold fared."""

    threshold: float
    max_error: float
    """Promised largest share of wrong rows; 0 where nothing was promised."""
    num_accepted: int
    num_rows: int
    error: float
    """Share of wrong rows among the accepted; 0 when none is accepted."""
    interval: Interval
    """Exact interval of that share."""

    @property
    def coverage(self) -> float:
        """Part of the rows that is accepted."""
        return self.num_accepted / self.num_rows

    @property
    def kept(self) -> bool:
        """Whether the share of wrong rows is within the promise."""
        return self.error <= self.max_error


def decision_confidence(probabilities: Floats, predictions: Integers | Booleans, *, task: Task) -> NDArray[np.float64]:
    """Return (N,) the probability that a row's decision is right, as the model states it.

    Multi-label: the product over labels of the probability of what was decided, as if labels were independent.
    """
    match task:
        case Task.single_label:
            return probabilities[np.arange(len(predictions)), predictions].astype(np.float64)
        case Task.multi_label:
            decided = np.where(predictions, probabilities, 1 - probabilities).astype(np.float64)
            return np.asarray(np.exp(np.log(np.clip(decided, 1e-12, 1.0)).sum(axis=1)))


def risk_coverage(confidences: Floats, correct: Booleans) -> RiskCoverage:
    """Return the curve of `correct` (N,) rows ordered by `confidences` (N,); equal confidences enter together."""
    order = np.argsort(-confidences, kind="stable")
    ranked = confidences[order].astype(np.float64)
    last_of_ties = np.append(ranked[1:] != ranked[:-1], True)
    num_accepted = np.arange(1, len(ranked) + 1)[last_of_ties]
    num_errors = np.cumsum(~correct[order])[last_of_ties]
    return RiskCoverage(ranked[last_of_ties], num_accepted / len(ranked), num_errors / num_accepted)


def abstention(
    confidences: Floats, correct: Booleans, *, threshold: float, max_error: float, confidence: float
) -> Abstention:
    """Return how decisions with at least `threshold` fared on these rows."""
    accepted = confidences >= threshold
    num_accepted, num_errors = int(accepted.sum()), int((accepted & ~correct).sum())
    return Abstention(
        threshold=threshold,
        max_error=max_error,
        num_accepted=num_accepted,
        num_rows=len(correct),
        error=num_errors / num_accepted if num_accepted else 0.0,
        interval=proportion_interval(num_errors, num_accepted, confidence=confidence),
    )
