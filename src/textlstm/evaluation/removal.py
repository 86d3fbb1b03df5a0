"""What preparation did: words whose removal changed a prediction, for better or worse."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from textlstm.evaluation.rows import ScoredRows, correct_rows


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
    flipped = ~correct_rows(predictions, rows.unfiltered_predictions)
    right, right_unfiltered = (correct_rows(rows.targets, said) for said in (predictions, rows.unfiltered_predictions))
    num_rows: Counter[str] = Counter()
    changes: dict[str, Counter[str]] = {"flipped": Counter(), "broken": Counter(), "mended": Counter()}
    for row, words in enumerate(rows.removed_words):
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
