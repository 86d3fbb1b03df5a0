"""Platt scaling of the top label's log-odds, for models that temperature and class biases leave miscalibrated.

A network can be overconfident where it is confident and underconfident elsewhere, for example after training with
smoothed labels. A single temperature cannot correct both.
"""

from typing import NamedTuple

import numpy as np

from textlstm.models.calibration.validation_rows import LEAST_ROWS, folds, known_rows

_PENALTY = 4.0
"""Weight of half the squared distance from slope 1 and shift 0 against the log loss summed over rows."""
_LEAST_SLOPE = 0.001
_LEAD = 1e-5
"""Least lead in log-odds of the top label over the second; large enough for float32."""


class ConfidenceScale(NamedTuple):
    """Maps the log-odds of the most likely label against all others to `slope * log_odds + shift`."""

    slope: float
    shift: float

    def __call__(self, log_probabilities: np.ndarray) -> np.ndarray:
        """Return rescaled (N, L) log-probabilities.

        The other labels keep their proportions. The most likely label stays the most likely one: its log-odds are
        raised to just above those of the second where the scale would put them below.
        """
        if self == AS_IT_IS or log_probabilities.shape[1] < 2:
            return log_probabilities
        decisions = _Decisions.of(log_probabilities)
        # Never below the second label, so that the decision stays.
        odds = np.maximum(self.slope * decisions.odds + self.shift, decisions.least_odds)
        # The other labels together get what the top label leaves, in their old proportions; then the top label is set.
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
    """(N,) log-odds at which it is only just more likely than the second."""

    @classmethod
    def of(cls, log_probabilities: np.ndarray) -> "_Decisions":
        rows, labels = np.arange(len(log_probabilities)), log_probabilities.argmax(axis=1)
        rest = log_probabilities.astype(np.float64)
        top = rest[rows, labels]
        rest[rows, labels] = -np.inf
        second = rest.max(axis=1, initial=-np.inf)
        # Logarithm of a sum of exponentials, taken relative to the largest of them.
        others = second + np.log(np.exp(rest - second[:, None]).sum(axis=1))
        return cls(labels, others, top - others, second - others + _LEAD)


def fit_confidence_scale(
    log_probabilities: np.ndarray, targets: np.ndarray, *, weights: np.ndarray | None = None, seed: int = 0
) -> ConfidenceScale:
    """Return the scale that best predicts whether decisions are right, or `AS_IT_IS` if cross-fitting shows no gain.

    This is Platt scaling (1999) of top-label correctness, called top-label calibration by Gupta and Ramdas (2022),
    shrunk towards slope 1 and shift 0.

    Args:
        log_probabilities: (N, L) of validation rows.
        targets: (N,) label ids; rows with -1, a label unknown to the model, are left out. Or (N, L) probabilities.
        weights: (N,) importance of the rows, None for equal.
        seed: of the folds.
    """
    order = known_rows(targets, seed=seed)
    if len(order) < LEAST_ROWS or log_probabilities.shape[1] < 2:
        return AS_IT_IS
    decisions = _Decisions.of(log_probabilities)
    odds = np.clip(decisions.odds, -50, 50)
    # Right or not, or the chance of it.
    if targets.ndim == 1:
        right = decisions.labels == targets
    else:
        right = targets[np.arange(len(targets)), decisions.labels].astype(np.float64)
    importance = np.ones(len(targets)) if weights is None else weights

    # Cross-fit: the scale counts only if it lowers the log loss of rows that it was not fitted on.
    def fit(rows: np.ndarray) -> ConfidenceScale:
        return _fit(odds[rows], right[rows], importance[rows])

    def loss(scale: ConfidenceScale, rows: np.ndarray) -> float:
        return float(importance[rows] @ _losses(scale, odds[rows], right[rows]))

    gain = sum(loss(AS_IT_IS, rows) - loss(fit(others), rows) for others, rows in folds(order))
    return fit(order) if gain > 0 else AS_IT_IS


def fit_confidence_to(log_probabilities: np.ndarray, wanted: np.ndarray) -> ConfidenceScale:
    """Return the scale with which the confidences of (N, L) rows come closest to (N,) `wanted` probabilities.

    Closeness is cross-entropy, so the mean confidence comes out as the mean of `wanted`, up to the shrinking.
    """
    if not len(wanted) or log_probabilities.shape[1] < 2:
        return AS_IT_IS
    odds = np.clip(_Decisions.of(log_probabilities).odds, -50, 50)
    return _fit(odds, wanted, np.ones(len(wanted)))


def _losses(scale: ConfidenceScale, odds: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the (N,) log loss in nats of "the decision is right", which (N,) `right` says, or its chance."""
    scaled = scale.slope * odds + scale.shift
    if right.dtype != np.bool_:
        return np.asarray(np.logaddexp(0, scaled) - right * scaled)
    return np.asarray(np.logaddexp(0, np.where(right, -scaled, scaled)))


def _fit(odds: np.ndarray, right: np.ndarray, importance: np.ndarray) -> ConfidenceScale:
    """Return the scale with the least penalised log loss; the problem is convex.

    `right` are (N,) booleans, or probabilities that the decision is right.
    """
    from scipy.optimize import minimize

    terms = np.stack([odds, np.ones_like(odds)])

    def loss(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        scaled, change = numbers @ terms, numbers - AS_IT_IS
        value = importance @ (np.logaddexp(0, scaled) - right * scaled) + _PENALTY / 2 * change @ change
        surplus = importance * (1 / (1 + np.exp(-np.clip(scaled, -500, 500))) - right)
        return float(value), terms @ surplus + _PENALTY * change

    # A slope above 0 keeps the order of the confidences.
    slope, shift = minimize(
        loss, np.array(AS_IT_IS), jac=True, method="L-BFGS-B", bounds=[(_LEAST_SLOPE, None), (None, None)]
    ).x
    return ConfidenceScale(float(slope), float(shift))
