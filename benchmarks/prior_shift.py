"""Class shares of unlabelled rows, estimated from probabilities, and the probabilities that follow from them."""

from typing import NamedTuple

import numpy as np

NUM_STEPS = 200


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
