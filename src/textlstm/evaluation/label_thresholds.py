"""From where on a label is given to a row that may have several: thresholds learned on validation rows."""

import numpy as np
from numpy.typing import NDArray

from textlstm.evaluation.confusion import f1_by_rank, f1_score
from textlstm.evaluation.scored_rows import Booleans, Floats

_NUM_FOLDS = 5
_SEED = 0
_SHRINKAGES = (0.0, 5.0, 20.0, 80.0, 320.0, np.inf)
"""Rows that the threshold which a label is drawn to counts for beside the rows that have the label."""
_NUM_COMMON = 199
"""Common thresholds that are tried: 1/200, 2/200, ..."""
_OF_RIGHT_ROWS = 0.1
"""Weight of the share of rows that are right in every label."""
_EDGE = 1e-6
_FEWEST_ROWS = 20
"""Fewer validation rows are not cut into folds: every label then has the common threshold."""


def fit_label_thresholds(
    probabilities: Floats, targets: Booleans, *, toward: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return (L,) thresholds in (0, 1): each label's own, drawn towards others where few rows have the label.

    A label's own threshold is the one of its best F1 on the rows; of a rare label that is the luck of a few rows, and
    such labels are then given far too often. So the log-odds of a threshold are the mean of the label's own, weighted
    by the rows that have it, and of the one it is drawn to, weighted by the shrinkage. Cross-fitting chooses the
    shrinkage: thresholds of four fifths of the rows are judged on the last fifth, by macro F1 and micro F1 most of all.

    Args:
        probabilities: (N, L) of a multi-label model.
        targets: (N, L) bool.
        toward: (L,) thresholds of more rows; without them, labels are drawn to one threshold for all of them.
    """
    num_rows = len(probabilities)
    if num_rows < _FEWEST_ROWS:
        return _shrunk(probabilities, targets, np.inf, toward)
    # Choose how much rare labels lean on the common threshold.
    folds = np.random.default_rng(_SEED).permutation(num_rows) % _NUM_FOLDS
    scores = []
    for shrinkage in _SHRINKAGES:
        # Every row is decided by thresholds that have not seen it; the figures are of all rows together.
        decided = np.zeros_like(targets, dtype=np.bool_)
        for fold in range(_NUM_FOLDS):
            held_out = folds == fold
            thresholds = _shrunk(probabilities[~held_out], targets[~held_out], shrinkage, toward)
            decided[held_out] = probabilities[held_out] >= thresholds
        scores.append(_merit(decided, targets))
    # Fit again on all rows with the shrinkage that did best.
    return _shrunk(probabilities, targets, _SHRINKAGES[int(np.argmax(scores))], toward)


def _shrunk(
    probabilities: Floats, targets: Booleans, shrinkage: float, toward: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    # Mix on the scale of log-odds; with infinite shrinkage only the thresholds that labels are drawn to count.
    if toward is None:
        toward = np.full(probabilities.shape[1], _common_threshold(probabilities, targets))
    if np.isinf(shrinkage):
        return toward
    common = _log_odds(toward)
    own, support = _log_odds(best_thresholds(probabilities, targets)), targets.sum(axis=0)
    weight = np.divide(support, support + shrinkage, out=np.zeros(len(support)), where=support > 0)
    return _probability(weight * own + (1 - weight) * common)


def best_thresholds(probabilities: Floats, targets: Booleans) -> NDArray[np.float64]:
    """Return (L,) thresholds that give each label its best F1 on these rows, halfway between two probabilities.

    A label that no row carries has 0.5. The arguments are those of `fit_label_thresholds`.
    """
    # (N, L) probabilities of each label, falling, and the next lower one beside each.
    ranked = -np.sort(-probabilities.astype(np.float64), axis=0)
    below = np.vstack([ranked[1:], np.zeros((1, ranked.shape[1]))])
    f1 = np.where(ranked > below, f1_by_rank(probabilities, targets), -1.0)  # rows of one probability come together
    best = f1.argmax(axis=0)
    labels = np.arange(ranked.shape[1])
    found = (ranked[best, labels] + below[best, labels]) / 2
    return np.asarray(np.clip(np.where(targets.any(axis=0), found, 0.5), _EDGE, 1 - _EDGE))


def _common_threshold(probabilities: Floats, targets: Booleans) -> float:
    """Return the one threshold for all labels that does best on these rows; 0.5 where no row carries a label."""
    if not targets.any():
        return 0.5
    tried = np.arange(1, _NUM_COMMON + 1) / (_NUM_COMMON + 1)
    return float(tried[int(np.argmax([_merit(probabilities >= threshold, targets) for threshold in tried]))])


def _merit(decided: Booleans, targets: Booleans) -> float:
    """Return macro F1 (over labels that rows have) plus micro F1 plus a tenth of the share of rows right throughout.

    That share is highest where rare labels are never given, so it decides between thresholds of about the same F1.
    """
    # (L,) each; labels without a row have no part in macro F1.
    hits, support, given = (flags.sum(axis=0) for flags in (decided & targets, targets, decided))
    f1 = f1_score(hits, support, given)[support > 0]
    micro = f1_score(hits.sum(), support.sum(), given.sum())
    right = (decided == targets).all(axis=1).mean()
    return float((f1.mean() if len(f1) else 0.0) + micro + _OF_RIGHT_ROWS * right)


def _log_odds(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = np.clip(probabilities, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def _probability(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-log_odds)))
