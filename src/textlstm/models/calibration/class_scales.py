"""The expert's scale by the rarity of a class, used only if cross-validation shows a gain.

A linear machine that has seen few rows of a class hardly moves its margin away from -1, and a network that has seen few
rows of it gives it next to no probability. One scale for all classes then hides what the machine knows of rare ones.
Here the scale and the bias of a class grow with its rarity k / (n + k), for n training rows and a k that held-out rows
choose: three numbers more than one scale for each branch, whatever the number of classes.
"""

from typing import NamedTuple

import numpy as np

from textlstm.config import Task
from textlstm.models.calibration.temperature import Wanted, fit_free_scales, mean_loss, row_losses
from textlstm.models.calibration.validation_rows import LEAST_ROWS, folds, known_rows

LEAST_IMBALANCE = 4.0
"""Rows of the largest class for one of the smallest: below that, rarity says nothing."""
_HALVES = (1, 3, 10, 30, 100, 300, 1_000, 3_000)
"""The k that are tried: a class of k training rows has rarity 1/2."""
_CERTAIN = 2.0
"""The gain must exceed this many of its standard errors."""
_MAX_CELLS = 400_000
"""Rows times classes of one fit; beyond that, a part of the rows is enough for six numbers."""


class ClassScales(NamedTuple):
    """Combined logits are `recurrent * network + expert * machine + bias`, with the last two by class."""

    recurrent: float
    expert: np.ndarray
    """(L,) float64, none below 0."""
    bias: np.ndarray
    """(L,) float64."""
    held_out: np.ndarray
    """(N, L) float64 combined logits of the held-out rows, each from a fit without that row."""

    def __call__(self, recurrent_logits: np.ndarray, expert_logits: np.ndarray) -> np.ndarray:
        """Return (N, L) combined logits."""
        return np.asarray(self.recurrent * recurrent_logits + self.expert * expert_logits + self.bias)


def fit_class_scales(
    recurrent_logits: np.ndarray,
    expert_logits: np.ndarray,
    combined: np.ndarray,
    targets: np.ndarray,
    class_counts: np.ndarray,
    *,
    task: Task,
    weights: np.ndarray | None = None,
    seed: int = 0,
) -> ClassScales | None:
    """Return scales by class that lower the held-out log loss of `combined`, or None if cross-validation shows no gain.

    Args:
        recurrent_logits: (N, L) of the networks for rows that they have not learned from.
        expert_logits: (N, L) of the linear expert for the same rows.
        combined: (N, L) logits with one scale for each branch.
        targets: (N,) label ids, -1 for a label unknown to the model, or (N, L) probabilities, which are 0/1 when a row
            may have several labels that are sure.
        class_counts: (L,) training rows of each class.
        task: which of the two targets it is.
        weights: (N,) importance of the rows, None for equal.
        seed: of the folds.
    """
    order = known_rows(targets if task is Task.single_label else np.zeros(len(targets), np.int64), seed=seed)
    largest, num_labels = float(class_counts.max(initial=0)), len(class_counts)
    if len(order) < LEAST_ROWS or num_labels < 2 or largest < LEAST_IMBALANCE * max(float(class_counts.min()), 1.0):
        return None
    importance = np.ones(len(targets)) if weights is None else weights
    rarities = [half / (class_counts + half) for half in _HALVES if half < largest]
    most = max(_MAX_CELLS // num_labels, LEAST_ROWS)

    def fit(rows: np.ndarray) -> ClassScales | None:
        wanted = Wanted.of(targets[rows], num_labels, task=task, weights=importance[rows])
        network, machine = recurrent_logits[rows].astype(np.float64), expert_logits[rows].astype(np.float64)
        found = [_fit(network, machine, rarity, wanted) for rarity in rarities]
        fitted = [(mean_loss(scales(network, machine), wanted), scales) for scales in found if scales is not None]
        return min(fitted, key=lambda pair: pair[0])[1] if fitted else None

    # Fit on all rows, then on the other folds for each fold, so that every row has logits of a fit without it.
    whole = fit(order[:most])
    if whole is None:
        return None
    held_out = combined.astype(np.float64)
    for others, rows in folds(order):
        part = fit(others[:most])
        if part is not None:
            held_out[rows] = part(recurrent_logits[rows], expert_logits[rows])

    # Is the gain on unseen rows more than chance?
    before, after = (row_losses(logits[order], targets[order], task=task) for logits in (combined, held_out))
    gains = importance[order] * (before - after)
    if gains.mean() <= _CERTAIN * gains.std(ddof=1) / np.sqrt(len(order)):
        return None
    return whole._replace(held_out=held_out)


def _fit(network: np.ndarray, machine: np.ndarray, rarity: np.ndarray, wanted: Wanted) -> ClassScales | None:
    """Return the best scales for one rarity (L,); None where a branch would count against itself."""
    rare = np.broadcast_to(rarity, machine.shape)
    fitted, bias = fit_free_scales([network, machine, rare * machine, rare], wanted)
    recurrent, expert, by_rarity, bias_by_rarity = fitted
    scales = expert + by_rarity * rarity
    if recurrent < 0 or scales.min() < 0 or not scales.any():
        return None
    return ClassScales(recurrent, scales, bias_by_rarity * rarity + bias, machine)
