"""A bias a class on top of calibrated logits, where held-out rows show that it is needed.

A network learns the shares that the classes have among the training rows, or those that weights and samplers make of
them. Where the rows that it will meet are others, as validation rows tell, one temperature cannot make up for that.
"""

from typing import NamedTuple

import numpy as np

from textlstm.models.calibration.cross_fitting import LEAST_ROWS, folds, known_rows
from textlstm.models.calibration.temperature import log_softmax

_PENALTY = 4.0
"""Weight of half the squared biases against the log loss summed over rows: a bias of 1 costs two nats."""
_CERTAIN = 2.0
"""Standard errors of the gain on other rows from which on it counts."""
_MAX_CELLS = 4_000_000
"""Of more rows times classes, some rows do: the biases are shrunk, not searched for."""
_MAX_STEPS = 60


class ClassBiases(NamedTuple):
    """What is added to logits."""

    biases: np.ndarray
    """(L,) float64."""
    held_out: np.ndarray
    """(N, L) float32 corrected log-probabilities of the rows of the fit, each by a fit without that row."""
    gain: float
    """Mean log loss of the rows, each by a fit without that row, below that of the logits as they were, in nats."""

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Return corrected log-probabilities of (N, L) logits."""
        return log_softmax(logits + self.biases)


def fit_class_biases(
    logits: np.ndarray, targets: np.ndarray, *, weights: np.ndarray | None = None, seed: int = 0
) -> ClassBiases | None:
    """Return the correction that makes held-out rows likelier; None where it does not do so for other rows, too.

    These are the biases of Alexandari, Kundaje and Shrikumar (2020), "Maximum Likelihood with Bias-Corrected
    Calibration is Hard-to-Beat at Label Shift Adaptation", shrunk, since classes have few rows. They are taken where,
    cross-fitted, they lower the log loss by more than two standard errors.

    Args:
        logits: (N, L) calibrated logits of rows that nothing was fitted on but their temperature.
        targets: (N,) label ids; rows with -1, a label unknown to the model, teach nothing.
        weights: (N,) importance of the rows, None for equal.
        seed: of the folds.
    """
    importance = np.ones(len(targets)) if weights is None else weights
    order = known_rows(targets, seed=seed)
    num_labels = logits.shape[1]
    if len(order) < LEAST_ROWS or num_labels < 2:
        return None
    base = log_softmax(logits.astype(np.float64))
    most = max(_MAX_CELLS // num_labels, LEAST_ROWS)
    biases = _fit(base, targets, order[:most], importance)
    held_out = log_softmax(base + biases)
    for others, rows in folds(order):
        held_out[rows] = log_softmax(base[rows] + _fit(base, targets, others[:most], importance))
    gains = importance[order] * (held_out[order, targets[order]] - base[order, targets[order]])
    gain = float(gains.mean())
    if gain <= _CERTAIN * float(gains.std(ddof=1)) / np.sqrt(len(order)):
        return None
    return ClassBiases(biases, held_out.astype(np.float32), gain)


def _fit(logits: np.ndarray, targets: np.ndarray, rows: np.ndarray, importance: np.ndarray) -> np.ndarray:
    """Return the (L,) biases with the least penalised log loss of `rows`; the problem is convex."""
    from scipy.optimize import minimize

    chosen, wanted, weights, each = logits[rows], targets[rows], importance[rows], np.arange(len(rows))
    counts = np.bincount(wanted, weights=weights, minlength=logits.shape[1])

    def loss(biases: np.ndarray) -> tuple[float, np.ndarray]:
        found = log_softmax(chosen + biases)
        value = _PENALTY / 2 * float(biases @ biases) - float(weights @ found[each, wanted])
        return value, weights @ np.exp(found) - counts + _PENALTY * biases

    start = np.zeros(logits.shape[1])
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _MAX_STEPS}).x)
