"""The validation figures by which the best epoch is chosen. numpy alone."""

from typing import NamedTuple

import numpy as np

from textlstm.config import Task
from textlstm.evaluation.confusion import f1_by_rank, f1_score


class Scores(NamedTuple):
    """Scores of logits against the targets."""

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
        # (N, L) F1 by rank to the best of each label that occurs.
        f1 = f1_by_rank(logits, wanted).max(axis=0)[wanted.any(axis=0)]
        accuracy = ((logits > 0) == wanted).all(axis=1).mean()
    else:
        f1 = _f1_of_decisions(logits.argmax(axis=1), targets, num_labels=logits.shape[1])
        accuracy = (logits.argmax(axis=1) == targets).mean()
    return Scores(macro_f1=float(f1.mean()) if len(f1) else 0.0, accuracy=float(accuracy))


def _f1_of_decisions(decided: np.ndarray, targets: np.ndarray, *, num_labels: int) -> np.ndarray:
    """Return the F1 of each label that occurs in `decided` or `targets`, both (N,)."""
    hits, given, true = (
        np.bincount(ids, minlength=num_labels) for ids in (targets[decided == targets], decided, targets)
    )
    return f1_score(hits, true, given)[given + true > 0]
