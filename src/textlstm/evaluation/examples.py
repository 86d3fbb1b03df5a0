"""Rows worth reading: the most confident mistakes, and the pairs of labels that are confused most."""

from typing import NamedTuple

import numpy as np

from textlstm.evaluation.rows import UNKNOWN_TARGET, Booleans, Floats, Integers, ScoredRows

_EXAMPLES_PER_PAIR = 3


class ConfusedPair(NamedTuple):
    """Rows of one label that were given another."""

    label: str
    predicted_label: str
    num_rows: int
    share: float
    """Part of the label's rows, in [0, 1]."""
    examples: list[int]
    """Row indices, the most confident first."""


def hardest_rows(correct: Booleans, confidences: Floats, *, limit: int) -> list[int]:
    """Return indices of wrong rows, those first of which the model was surest."""
    wrong = np.flatnonzero(~correct)
    return [int(index) for index in wrong[np.argsort(-confidences[wrong], kind="stable")][:limit]]


def confused_pairs(
    rows: ScoredRows, predictions: Integers | Booleans, confidences: Floats, *, limit: int
) -> list[ConfusedPair]:
    """Return the most frequent mistakes of a single-label model; none for multi-label."""
    if rows.is_multi_label:
        return []
    wrong = np.flatnonzero((rows.targets != predictions) & (rows.targets != UNKNOWN_TARGET))
    wrong = wrong[np.argsort(-confidences[wrong], kind="stable")]
    members: dict[tuple[int, int], list[int]] = {}
    for index in wrong:
        members.setdefault((int(rows.targets[index]), int(predictions[index])), []).append(int(index))
    frequent = sorted(members.items(), key=lambda item: (-len(item[1]), item[0]))[:limit]
    return [
        ConfusedPair(
            label=rows.labels[truth],
            predicted_label=rows.labels[given],
            num_rows=len(indices),
            share=len(indices) / int((rows.targets == truth).sum()),
            examples=indices[:_EXAMPLES_PER_PAIR],
        )
        for (truth, given), indices in frequent
    ]


def confusion_counts(rows: ScoredRows, predictions: Integers | Booleans) -> Integers:
    """Return (L + 1, L) int64: rows of each label (last: unknown ones) by predicted label; single-label only."""
    size = len(rows.labels)
    truth = np.where(rows.targets == UNKNOWN_TARGET, size, rows.targets).astype(np.int64)
    cells = np.bincount(truth * size + predictions, minlength=(size + 1) * size)
    return np.asarray(cells.reshape(size + 1, size), dtype=np.int64)
