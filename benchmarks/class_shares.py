"""Probabilities where the shares of the classes are not those of the training rows."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

NUM_STEPS = 200
NUM_FOLDS = 5


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


def cross_fitted(
    logits: np.ndarray, targets: np.ndarray, features: np.ndarray, *, penalty: float, moved: int
) -> np.ndarray:
    """Return (N, L) probabilities, each row's by what `learn` finds on other rows."""
    folds = np.random.default_rng(0).integers(0, NUM_FOLDS, len(targets))
    crossed = np.zeros(logits.shape)
    for fold in range(NUM_FOLDS):
        held_out = folds == fold
        kept = ~held_out
        learned = learn(logits[kept], targets[kept], penalty=penalty, features=features[kept], moved=moved)
        crossed[held_out] = learned(logits[held_out], features[held_out])
    return crossed


def logarithms(probabilities: np.ndarray) -> np.ndarray:
    """Return the logarithms in float64."""
    return np.asarray(np.log(np.maximum(probabilities.astype(np.float64), 1e-30)))


class Learned(NamedTuple):
    """A temperature, a bias a class, and weights of features in the logit of one class, the `moved` one."""

    log_scale: float
    biases: np.ndarray
    """(L,)."""
    feature_weights: np.ndarray
    """(F,)."""
    moved: int

    def __call__(self, logits: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Return (N, L) probabilities for (N, L) `logits` and (N, F) `features`."""
        scaled = logits * np.exp(self.log_scale) + self.biases
        scaled[:, self.moved] += features @ self.feature_weights
        exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def learn(
    logits: np.ndarray,
    targets: np.ndarray,
    *,
    penalty: float,
    features: np.ndarray,
    moved: int,
) -> Learned:
    """Return what makes the targets of N rows most likely.

    Args:
        logits: (N, L) log-probabilities.
        targets: (N,) label ids.
        penalty: Weight of the squared biases, but not of that of `moved`.
        features: (N, F) in the logit of `moved`.
        moved: The class whose share is another elsewhere.
    """
    rows, num_labels = np.arange(len(targets)), logits.shape[1]
    strengths = np.concatenate([[0.0], np.full(num_labels, penalty), np.ones(features.shape[1])])
    strengths[1 + moved] = 0.0

    def of(weights: np.ndarray) -> Learned:
        return Learned(weights[0], weights[1 : 1 + num_labels], weights[1 + num_labels :], moved)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        probabilities = of(weights)(logits, features)
        surplus = probabilities.copy()
        surplus[rows, targets] -= 1
        value = -np.log(np.maximum(probabilities[rows, targets], 1e-300)).sum() + strengths @ weights**2 / 2
        scale = np.exp(weights[0]) * (surplus * logits).sum()
        gradient = np.concatenate([[scale], surplus.sum(axis=0), features.T @ surplus[:, moved]])
        return float(value), gradient + strengths * weights

    start = np.zeros(len(strengths))
    return of(np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 150}).x))
