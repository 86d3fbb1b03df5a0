"""The confusion matrix, confused pairs, F1 from counts, the hardest rows, and words whose removal changed a label.

Imports numpy alone, since training scores its epochs with it too.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from textlstm.evaluation.scored_rows import UNKNOWN_TARGET, Booleans, Floats, Integers, ScoredRows, correct_rows

_EXAMPLES_PER_PAIR = 3


def confusion_counts(rows: ScoredRows, predictions: Integers | Booleans) -> Integers:
    """Return (L + 1, L) int64: rows of each label (last: unknown ones) by predicted label; single-label only."""
    size = len(rows.labels)
    # One number a cell, true label times L plus predicted label, counted at once and cut into (L + 1, L).
    truth = np.where(rows.targets == UNKNOWN_TARGET, size, rows.targets).astype(np.int64)
    cells = np.bincount(truth * size + predictions, minlength=(size + 1) * size)
    return np.asarray(cells.reshape(size + 1, size), dtype=np.int64)


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
    # Wrong rows of known labels, the most confident first, gathered by (true, predicted) label.
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


class RemovedWord(NamedTuple):
    """A word that stop-word or part-of-speech filters took away."""

    word: str
    num_rows: int
    """Rows that lost it."""
    num_flipped: int
    """Of those, rows with another prediction when nothing is removed."""
    num_broken: int
    """Of those, rows that are right only when nothing is removed."""
    num_mended: int
    """Of those, rows that are right only with words removed."""


def removal_effects(rows: ScoredRows, *, limit: int) -> list[RemovedWord]:
    """Return the words that were removed from the most rows with a changed prediction, at most `limit`.

    A row speaks for every word it lost, since all are restored together; a word that is removed nearly everywhere
    stands high by that alone, so compare `num_flipped` with `num_rows`. Empty when the rows hold no such data.
    """
    if rows.removed_words is None or rows.unfiltered_predictions is None:
        return []
    predictions = rows.predictions()
    # Compare the predictions with and without the filters, and each with the truth.
    flipped = ~correct_rows(predictions, rows.unfiltered_predictions)
    right, right_unfiltered = (correct_rows(rows.targets, said) for said in (predictions, rows.unfiltered_predictions))
    num_rows: Counter[str] = Counter()
    changes: dict[str, Counter[str]] = {"flipped": Counter(), "broken": Counter(), "mended": Counter()}
    for row, words in enumerate(rows.removed_words):
        # A word counts once a row, however often it was removed.
        distinct = set(words)
        num_rows.update(distinct)
        if flipped[row]:
            changes["flipped"].update(distinct)
            if right[row] != right_unfiltered[row]:
                changes["mended" if right[row] else "broken"].update(distinct)
    ranked = sorted(changes["flipped"], key=lambda word: (-changes["flipped"][word], word))[:limit]
    return [
        RemovedWord(word, num_rows[word], *(changes[kind][word] for kind in ("flipped", "broken", "mended")))
        for word in ranked
    ]


def num_flipped(rows: ScoredRows) -> int:
    """Return how many rows get another prediction when nothing is removed."""
    if rows.unfiltered_predictions is None:
        return 0
    return int(np.sum(~correct_rows(rows.predictions(), rows.unfiltered_predictions)))


# F1 of labels: from counts, and of the rows that a label ranks first.

Values = NDArray[np.float64]


def f1_score(true_positives: np.ndarray, support: np.ndarray, predicted: np.ndarray) -> Values:
    """Return 2 TP / (rows that have the label + rows that were given it), 0 where there are neither; any shape.

    >>> f1_score(np.array([2, 0]), np.array([3, 0]), np.array([5, 0])).tolist()
    [0.5, 0.0]
    """
    total = np.asarray(support + predicted, dtype=np.float64)
    return np.divide(2.0 * true_positives, total, out=np.zeros_like(total), where=total != 0)


def f1_by_rank(scores: np.ndarray, targets: np.ndarray) -> Values:
    """Return (N, L): F1 of each label when its k rows of highest score are given it, for k from 1 to N.

    Args:
        scores: (N, L) logits or probabilities; of equal ones the earlier row ranks first.
        targets: (N, L) bool.
    """
    # (N, L): each label ranks the rows for itself; hits after k rows are the true positives at that k.
    order = np.argsort(-scores, axis=0, kind="stable")
    hits = np.cumsum(np.take_along_axis(targets, order, axis=0), axis=0)
    return f1_score(hits, targets.sum(axis=0), np.arange(1, len(scores) + 1)[:, None])
