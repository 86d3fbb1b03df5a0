"""Thresholds learned on validation rows: from where on to trust a decision, and from where on to give a label."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from textlstm.evaluation.rows import Booleans, Floats

_NUM_LEVELS = 10


class Promise(NamedTuple):
    """What a threshold promises about new rows of the same kind as the validation rows."""

    threshold: float | None
    """Decisions with at least this probability are accepted; None: no threshold can be promised, accept nothing."""
    max_error: float
    """Accepted decisions are wrong at most this often ..."""
    confidence: float
    """... with this probability over the draw of the validation rows."""
    num_rows: int
    num_accepted: int
    num_errors: int
    """Wrong ones among the accepted validation rows."""

    @property
    def coverage(self) -> float:
        """Part of the validation rows that is accepted: what to expect of new rows."""
        return self.num_accepted / self.num_rows if self.num_rows else 0.0


def find_threshold(confidences: Floats, correct: Booleans, *, max_error: float, confidence: float) -> Promise:
    """Return the lowest threshold for which `max_error` can be promised, from rows not used for fitting.

    Thresholds are tried from strict to lax at up to 10 levels of coverage, which depend on the confidences alone. Each
    is an exact binomial test (Clopper-Pearson) of "accepted rows are wrong more often than max_error". The levels share
    the risk 1 - confidence by the fallback procedure (Wiens 2003), a fixed-sequence test in which a rejection hands
    its share on to the next level and a miss does not end the search; so the chance that the promise is broken is at
    most 1 - confidence however many levels were looked at ("learn then test", Angelopoulos et al. 2021).

    Args:
        confidences: (N,) probability of each decision.
        correct: (N,) bool.
        max_error: largest share of wrong rows among the accepted, in (0, 1).
        confidence: in (0, 1).
    """
    from scipy.stats import binom

    levels = _levels(confidences, max_error=max_error, risk=1 - confidence)
    chosen: Promise | None = None
    share = (1 - confidence) / max(1, len(levels))
    available = 0.0
    for threshold in levels:
        accepted = confidences >= threshold
        num_accepted, num_errors = int(accepted.sum()), int((accepted & ~correct).sum())
        available += share
        if float(binom.cdf(num_errors, num_accepted, max_error)) <= available:
            chosen = Promise(float(threshold), max_error, confidence, len(correct), num_accepted, num_errors)
        else:
            available = 0.0
    return chosen or Promise(None, max_error, confidence, len(correct), 0, 0)


def _levels(confidences: Floats, *, max_error: float, risk: float) -> list[float]:
    """Thresholds to try, strict first: even steps of coverage, from the fewest rows that could prove anything."""
    smallest = int(np.ceil(np.log(risk / _NUM_LEVELS) / np.log1p(-max_error)))
    if smallest > len(confidences):
        smallest = int(np.ceil(np.log(risk) / np.log1p(-max_error)))
    if not len(confidences) or smallest > len(confidences):
        return []
    falling = np.sort(confidences)[::-1]
    num_rows = np.unique(np.linspace(smallest, len(confidences), _NUM_LEVELS).astype(np.int64))
    return [float(value) for value in np.unique(falling[num_rows - 1])[::-1]]


def fit_label_thresholds(probabilities: Floats, targets: Booleans) -> NDArray[np.float64]:
    """Return (L,) thresholds that give each label its best F1 on validation rows, halfway between two probabilities.

    Args:
        probabilities: (N, L) of a multi-label model.
        targets: (N, L) bool.

    Returns:
        Thresholds in (0, 1); 0.5 for a label that no row carries.
    """
    num_rows, num_labels = probabilities.shape
    thresholds = np.full(num_labels, 0.5)
    for label in range(num_labels):
        order = np.argsort(-probabilities[:, label], kind="stable")
        ranked, carried = probabilities[order, label].astype(np.float64), targets[order, label]
        if not carried.any():
            continue
        f1 = 2 * np.cumsum(carried) / (np.arange(1, num_rows + 1) + carried.sum())
        below = np.append(ranked[1:], 0.0)
        last_of_ties = ranked > below
        best = int(np.argmax(np.where(last_of_ties, f1, -1.0)))
        thresholds[label] = (ranked[best] + below[best]) / 2
    return np.asarray(np.clip(thresholds, 1e-6, 1 - 1e-6))
