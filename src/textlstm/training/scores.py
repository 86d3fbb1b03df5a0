"""The validation figures by which the best epoch is chosen. numpy alone."""

from typing import NamedTuple

import numpy as np

from textlstm.config import Task


class Scores(NamedTuple):
    """How well logits fit the targets."""

    macro_f1: float
    """Mean F1 of the labels that occur as a target or as a decision."""
    accuracy: float
    """Part of the rows that are right in every label."""


def score(logits: np.ndarray, targets: np.ndarray, *, task: Task) -> Scores:
    """Score (N, L) `logits` against (N,) label ids, or (N, L) zeros and ones (decided at probability 1/2)."""
    num_labels = logits.shape[1]
    if task is Task.multi_label:
        decided, wanted = logits > 0, targets > 0.5
        right = (decided & wanted).sum(axis=0)
        decisions, occurrences = decided.sum(axis=0), wanted.sum(axis=0)
        accuracy = (decided == wanted).all(axis=1)
    else:
        labels = logits.argmax(axis=1)
        accuracy = labels == targets
        right = np.bincount(targets[accuracy], minlength=num_labels)
        decisions = np.bincount(labels, minlength=num_labels)
        occurrences = np.bincount(targets, minlength=num_labels)
    total = decisions + occurrences
    seen = total > 0
    f1 = 2 * right[seen] / total[seen]
    return Scores(
        macro_f1=float(f1.mean()) if seen.any() else 0.0, accuracy=float(accuracy.mean()) if len(targets) else 0.0
    )
