"""Per-class biases of calibrated logits, used only if cross-validation shows a gain.

A network learns the class shares of its training rows, after class weights and samplers. If validation rows have other
shares, a temperature alone cannot correct that; one bias for each class can.
"""

from typing import NamedTuple

import numpy as np

from textlstm.models.calibration.temperature import log_softmax, of_targets
from textlstm.models.calibration.validation_rows import LEAST_ROWS, folds, known_rows

_PENALTY = 4.0
"""Weight of half the squared biases against the log loss summed over rows: a bias of 1 costs two nats."""
_CERTAIN = 2.0
"""The gain must exceed this many of its standard errors."""
_MAX_CELLS = 4_000_000
"""Rows times classes of one fit; beyond that, a part of the rows is enough for shrunk biases."""
_MAX_STEPS = 60


class ClassBiases(NamedTuple):
    """Biases that are added to logits, and their cross-validated effect."""

    biases: np.ndarray
    """(L,) float64."""
    held_out: np.ndarray
    """(N, L) float32 corrected log-probabilities of the validation rows, each from a fit without that row."""
    gain: float
    """Nats by which `held_out` lowers the mean log loss of the uncorrected logits."""

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Return corrected log-probabilities of (N, L) logits."""
        return log_softmax(logits + self.biases)


def fit_class_biases(
    logits: np.ndarray, targets: np.ndarray, *, weights: np.ndarray | None = None, seed: int = 0
) -> ClassBiases | None:
    """Return per-class biases that lower validation log loss, or None if cross-validation shows no gain.

    These are the biases of Alexandari, Kundaje and Shrikumar (2020), "Maximum Likelihood with Bias-Corrected
    Calibration is Hard-to-Beat at Label Shift Adaptation", shrunk towards 0 because classes have few rows. The gain
    must exceed two standard errors.

    Args:
        logits: (N, L) calibrated logits of validation rows.
        targets: (N,) label ids; rows with -1, a label unknown to the model, are left out. Or (N, L) probabilities.
        weights: (N,) importance of the rows, None for equal.
        seed: of the folds.
    """
    importance = np.ones(len(targets)) if weights is None else weights
    order = known_rows(targets, seed=seed)
    num_labels = logits.shape[1]
    if len(order) < LEAST_ROWS or num_labels < 2:
        return None

    # Fit on all rows, then on the other folds for each fold, so that every row has an unseen correction.
    base = log_softmax(logits.astype(np.float64))
    most = max(_MAX_CELLS // num_labels, LEAST_ROWS)
    biases = _fit(base, targets, order[:most], importance)
    held_out = log_softmax(base + biases)
    for others, rows in folds(order):
        held_out[rows] = log_softmax(base[rows] + _fit(base, targets, others[:most], importance))

    # Is the gain on unseen rows more than chance?
    before, after = of_targets(base[order], targets[order]), of_targets(held_out[order], targets[order])
    gains = importance[order] * (after - before)
    gain = float(gains.mean())
    if gain <= _CERTAIN * float(gains.std(ddof=1)) / np.sqrt(len(order)):
        return None
    return ClassBiases(biases, held_out.astype(np.float32), gain)


def _fit(logits: np.ndarray, targets: np.ndarray, rows: np.ndarray, importance: np.ndarray) -> np.ndarray:
    """Return the (L,) biases with the least penalised log loss of `rows`; the problem is convex."""
    from scipy.optimize import minimize

    chosen, wanted, weights = logits[rows], targets[rows], importance[rows]
    counts = np.bincount(wanted, weights=weights, minlength=logits.shape[1]) if wanted.ndim == 1 else weights @ wanted

    def loss(biases: np.ndarray) -> tuple[float, np.ndarray]:
        found = log_softmax(chosen + biases)
        value = _PENALTY / 2 * float(biases @ biases) - float(weights @ of_targets(found, wanted))
        # The gradient: predicted minus observed weight of each class, and the pull towards 0.
        return value, weights @ np.exp(found) - counts + _PENALTY * biases

    start = np.zeros(logits.shape[1])
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _MAX_STEPS}).x)
