"""The validation figures by which the best epoch is chosen. numpy alone."""

from typing import NamedTuple

import numpy as np

from textlstm.config import Task


class Scores(NamedTuple):
    """How well logits fit the targets."""

    macro_f1: float
    """Mean F1: of one label, over labels that occur as a target or as a decision; of several, over labels that occur,
    each at its best threshold (the saved model gets a threshold a label, too)."""
    accuracy: float
    """Part of the rows that are right in every label (several labels: decided at probability 1/2)."""


def score(logits: np.ndarray, targets: np.ndarray, *, task: Task) -> Scores:
    """Score (N, L) `logits` against (N,) label ids, or (N, L) zeros and ones."""
    if not len(targets):
        return Scores(0.0, 0.0)
    if task is Task.multi_label:
        wanted = targets > 0.5
        f1 = _best_f1(logits, wanted)[wanted.any(axis=0)]
        accuracy = ((logits > 0) == wanted).all(axis=1).mean()
    else:
        f1 = _f1(logits.argmax(axis=1), targets, num_labels=logits.shape[1])
        accuracy = (logits.argmax(axis=1) == targets).mean()
    return Scores(macro_f1=float(f1.mean()) if len(f1) else 0.0, accuracy=float(accuracy))


def _f1(decided: np.ndarray, targets: np.ndarray, *, num_labels: int) -> np.ndarray:
    """Return the F1 of each label that occurs in `decided` or `targets`, both (N,)."""
    right = np.bincount(targets[decided == targets], minlength=num_labels)
    total = np.bincount(decided, minlength=num_labels) + np.bincount(targets, minlength=num_labels)
    return np.asarray(2 * right[total > 0] / total[total > 0])


def _best_f1(logits: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return (L,) F1 of each label when its k rows of highest logit are taken, for the best k from 1 to N."""
    order = np.argsort(-logits, axis=0, kind="stable")
    right = np.cumsum(np.take_along_axis(wanted, order, axis=0), axis=0)
    taken = np.arange(1, len(logits) + 1)[:, None]
    return np.asarray((2 * right / (taken + wanted.sum(axis=0))).max(axis=0))
