"""How far the confidence of decisions can be believed, where a temperature and class biases do not settle it.

A network may be too sure of its sure decisions and not sure enough of the others, as one trained with smoothed labels
often is; no single temperature mends both.
"""

from typing import NamedTuple

import numpy as np

from textlstm.models.calibration.cross_fitting import LEAST_ROWS, folds, known_rows

_PENALTY = 4.0
"""Weight of half the squared distance from slope 1 and shift 0 against the log loss summed over rows."""
_LEAST_SLOPE = 0.001
_LEAD = 1e-5
"""Log-odds that the decision keeps before the second label; float32 still tells them apart."""


class ConfidenceScale(NamedTuple):
    """The log-odds of the most likely label against all others become `slope` times themselves plus `shift`."""

    slope: float
    shift: float

    def __call__(self, log_probabilities: np.ndarray) -> np.ndarray:
        """Return rescaled (N, L) log-probabilities.

        The other labels keep their proportions, and the most likely label stays it, by a hair where the scale says
        otherwise.
        """
        if self == AS_IT_IS or log_probabilities.shape[1] < 2:
            return log_probabilities
        decisions = _Decisions.of(log_probabilities)
        odds = np.maximum(self.slope * decisions.odds + self.shift, decisions.least_odds)
        rescaled = log_probabilities + (-np.logaddexp(0, odds) - decisions.others)[:, None]
        rescaled[np.arange(len(odds)), decisions.labels] = -np.logaddexp(0, -odds)
        return np.asarray(rescaled)


AS_IT_IS = ConfidenceScale(1.0, 0.0)


class _Decisions(NamedTuple):
    """The most likely label of N rows."""

    labels: np.ndarray
    """(N,) ids."""
    others: np.ndarray
    """(N,) log-probability of all other labels together."""
    odds: np.ndarray
    """(N,) log-odds against all others."""
    least_odds: np.ndarray
    """(N,) log-odds with which it would be hardly more likely than the second."""

    @classmethod
    def of(cls, log_probabilities: np.ndarray) -> "_Decisions":
        rows, labels = np.arange(len(log_probabilities)), log_probabilities.argmax(axis=1)
        rest = log_probabilities.astype(np.float64)
        top = rest[rows, labels]
        rest[rows, labels] = -np.inf
        second = rest.max(axis=1, initial=-np.inf)
        others = second + np.log(np.exp(rest - second[:, None]).sum(axis=1))
        return cls(labels, others, top - others, second - others + _LEAD)


def fit_confidence_scale(
    log_probabilities: np.ndarray, targets: np.ndarray, *, weights: np.ndarray | None = None, seed: int = 0
) -> ConfidenceScale:
    """Return the scale that makes it likeliest which decisions are right; none where that does not hold for other rows.

    It is Platt scaling (1999) of whether the decision is right, top-label calibration in the words of Gupta and Ramdas
    (2022), shrunk, and taken where, cross-fitted, it lowers the log loss.

    Args:
        log_probabilities: (N, L) of rows that hardly anything was fitted on.
        targets: (N,) label ids; rows with -1, a label unknown to the model, teach nothing.
        weights: (N,) importance of the rows, None for equal.
        seed: of the folds.
    """
    order = known_rows(targets, seed=seed)
    if len(order) < LEAST_ROWS or log_probabilities.shape[1] < 2:
        return AS_IT_IS
    decisions = _Decisions.of(log_probabilities)
    odds, right = np.clip(decisions.odds, -50, 50), decisions.labels == targets
    importance = np.ones(len(targets)) if weights is None else weights

    def fit(rows: np.ndarray) -> ConfidenceScale:
        return _fit(odds[rows], right[rows], importance[rows])

    def loss(scale: ConfidenceScale, rows: np.ndarray) -> float:
        return float(importance[rows] @ _losses(scale, odds[rows], right[rows]))

    gain = sum(loss(AS_IT_IS, rows) - loss(fit(others), rows) for others, rows in folds(order))
    return fit(order) if gain > 0 else AS_IT_IS


def _losses(scale: ConfidenceScale, odds: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return (N,) nats."""
    scaled = scale.slope * odds + scale.shift
    return np.asarray(np.logaddexp(0, np.where(right, -scaled, scaled)))


def _fit(odds: np.ndarray, right: np.ndarray, importance: np.ndarray) -> ConfidenceScale:
    """Return the scale with the least penalised log loss; the problem is convex."""
    from scipy.optimize import minimize

    terms = np.stack([odds, np.ones_like(odds)])

    def loss(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        scaled, change = numbers @ terms, numbers - AS_IT_IS
        value = importance @ np.logaddexp(0, np.where(right, -scaled, scaled)) + _PENALTY / 2 * change @ change
        surplus = importance * (1 / (1 + np.exp(-np.clip(scaled, -500, 500))) - right)
        return float(value), terms @ surplus + _PENALTY * change

    slope, shift = minimize(
        loss, np.array(AS_IT_IS), jac=True, method="L-BFGS-B", bounds=[(1e-3, None), (None, None)]
    ).x
    return ConfidenceScale(float(slope), float(shift))
