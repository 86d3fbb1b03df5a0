"""The words and marks that the linear expert reads, found once for each distinct word between white space."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np

from textlstm.text.growing import GrowingRows
from textlstm.text.split_words import SplitWords

_PATTERNS = {
    False: re.compile(r"(?u)\b\w\w+\b"),  # scikit-learn's token_pattern
    True: re.compile(r"(?u)\w+|[^\w\s]"),  # short words and punctuation count too
}


_room = partial(np.empty, dtype=np.int64)


class PartRows(NamedTuple):
    """The parts of N texts, one after another."""

    ids: np.ndarray
    """(M,) int64, -1 for a part that has no number."""
    rows: np.ndarray
    """(M,) int64 number of the text that the part is in."""


class WordParts:
    """Cuts words into parts and gives those numbers; neither a part nor a rule of lower case reaches over white space.

    What a word consists of is remembered as long as texts come in one numbering of words.
    """

    def __init__(self, number: Callable[[list[str]], np.ndarray], *, all_tokens: bool) -> None:
        """Give the parts the ids that `number` returns for them.

        With `all_tokens` words of one letter and punctuation marks are parts; scikit-learn's default leaves them out.
        """
        self._number = number
        self._find_parts = _PATTERNS[all_tokens].findall
        self._clear(())

    def _clear(self, distinct: Sequence[str]) -> None:
        self._distinct = distinct
        self._ids = GrowingRows(np.empty(0, np.int64), _room)
        """Ids of the parts of all known words."""
        self._ends = GrowingRows(np.zeros(1, np.int64), _room)
        """Word k has the parts of places `ends[k]` to `ends[k + 1] - 1`."""

    def find(self, texts: SplitWords) -> PartRows:
        """Return the parts of `texts`."""
        words = texts.words.numbers
        if texts.words.distinct is not self._distinct:
            self._clear(texts.words.distinct)
        self._learn(self._distinct[len(self._ends) - 1 :])
        starts = self._ends.rows[words]
        sizes = self._ends.rows[words + 1] - starts
        ends = np.cumsum(sizes)
        places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - sizes), sizes)
        rows = np.repeat(np.repeat(np.arange(len(texts)), texts.counts), sizes)
        return PartRows(self._ids.rows[places], rows)

    def _learn(self, words: Sequence[str]) -> None:
        parts_of = [self._find_parts(word.lower()) for word in words]
        sizes = np.fromiter(map(len, parts_of), np.int64, len(parts_of))
        self._ids.append(self._number(list(chain.from_iterable(parts_of))))
        self._ends.append(self._ends.rows[-1] + np.cumsum(sizes))
