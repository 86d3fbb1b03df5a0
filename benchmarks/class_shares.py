"""Probabilities where the shares of the classes are not those of the training rows."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

NUM_STEPS = 200
NUM_FOLDS = 5
PENALTY = 4.0
"""Weight of the squared biases against the log loss summed over rows: a bias of 1 costs two nats."""


class Biased(NamedTuple):
    """Probabilities with a bias a class, learned on validation rows."""

    validation: np.ndarray
    """(N, L), each row with biases that were learned on other rows."""
    test: np.ndarray
    """(M, L)."""


class Shifted(NamedTuple):
    """What is left of probabilities once the class shares of the rows themselves are taken into account."""

    probabilities: np.ndarray
    """(N, L)."""
    shares: np.ndarray
    """(L,) estimated shares of the classes among the N rows."""


def adapt_to_shares(probabilities: np.ndarray, known_shares: np.ndarray) -> Shifted:
    """Return the most likely class shares of unlabelled rows and the probabilities under them.

    Expectation maximisation of Saerens, Latinne and Decaestecker (2002), "Adjusting the Outputs of a Classifier to New
    a Priori Probabilities": p'(c|x) is proportional to p(c|x) share'(c) / share(c), and share' is the mean of p'. It
    holds where only the shares differ, not what the texts of a class look like, and where `probabilities` are
    calibrated for rows with `known_shares`.

    Args:
        probabilities: (N, L) of the rows.
        known_shares: (L,) shares of the classes for which the probabilities were calibrated, all above 0.
    """
    start = probabilities.astype(np.float64)
    shares = known_shares.astype(np.float64)
    adapted = start
    for _ in range(NUM_STEPS):
        weighted = start * (shares / known_shares)
        adapted = weighted / weighted.sum(axis=1, keepdims=True)
        shares = adapted.mean(axis=0)
    return Shifted(adapted, shares)


def with_class_biases(validation: np.ndarray, targets: np.ndarray, test: np.ndarray) -> Biased:
    """Return probabilities with a temperature and a bias a class that were learned on the validation rows.

    Bias-corrected temperature scaling of Alexandari, Kundaje and Shrikumar (2020), "Maximum Likelihood with
    Bias-Corrected Calibration is Hard-to-Beat at Label Shift Adaptation", with a penalty, since classes have few rows.

    Args:
        validation: (N, L) probabilities.
        targets: (N,) label ids of these rows.
        test: (M, L) probabilities.
    """
    folds = np.random.default_rng(0).integers(0, NUM_FOLDS, len(targets))
    crossed = np.zeros(validation.shape)
    for fold in range(NUM_FOLDS):
        held_out = folds == fold
        weights = _fit(_logarithms(validation[~held_out]), targets[~held_out])
        crossed[held_out] = _apply(weights, _logarithms(validation[held_out]))
    return Biased(crossed, _apply(_fit(_logarithms(validation), targets), _logarithms(test)))


def _logarithms(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities.astype(np.float64), 1e-30))


def _fit(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the logarithm of the scale, then the biases: (1 + L,)."""
    rows = np.arange(len(targets))

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        probabilities = _apply(weights, logits)
        gradient = probabilities.copy()
        gradient[rows, targets] -= 1
        value = -np.log(np.maximum(probabilities[rows, targets], 1e-300)).sum() + PENALTY / 2 * (weights[1:] ** 2).sum()
        scale_part = np.exp(weights[0]) * (gradient * logits).sum()
        return float(value), np.append(scale_part, gradient.sum(axis=0) + PENALTY * weights[1:])

    found = minimize(loss, np.zeros(1 + logits.shape[1]), jac=True, method="L-BFGS-B")
    return np.asarray(found.x)


def _apply(weights: np.ndarray, logits: np.ndarray) -> np.ndarray:
    scaled = logits * np.exp(weights[0]) + weights[1:]
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))
