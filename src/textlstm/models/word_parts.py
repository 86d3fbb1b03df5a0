"""The words and marks that the linear expert reads, found once for each distinct word between white space."""

import re
from collections.abc import Callable, Sequence
from itertools import compress
from typing import NamedTuple

import numpy as np

from textlstm.text.growing import GrowingRuns, Runs
from textlstm.text.split_words import SplitWords

_END = "\n"
"""Behind each word of a text that holds many, where neither a part nor a rule of lower case reaches over."""
_PATTERNS = {
    False: re.compile(rf"(?u)\w\w+|{_END}"),  # scikit-learn's token_pattern; \b around it changes nothing
    True: re.compile(r"(?u)\W|\w+"),  # short words and punctuation count too
}


class PartRows(NamedTuple):
    """The parts of N texts, one after another."""

    ids: np.ndarray
    """(M,) int64, -1 for a part that has no number."""
    rows: np.ndarray
    """(M,) int64 number of the text that the part is in."""


class WordParts:
    """Cuts words into parts and gives those numbers.

    What a word consists of is remembered while texts come in one numbering that goes on.
    """

    def __init__(self, number: Callable[[list[str]], np.ndarray], *, all_tokens: bool) -> None:
        """Give the parts the ids that `number` returns for them.

        With `all_tokens` words of one letter and punctuation marks are parts; scikit-learn's default leaves them out.
        """
        self._number = number
        self._find_parts = _PATTERNS[all_tokens].findall
        self._distinct: Sequence[str] = ()
        self._ids = GrowingRuns(np.int64)
        """Of the parts of each word of `_distinct` that was met."""

    def find(self, texts: SplitWords) -> PartRows:
        """Return the parts of `texts`."""
        distinct = texts.words.distinct
        known = self._ids if distinct is self._distinct else GrowingRuns(np.int64)
        if texts.goes_on:
            self._distinct, self._ids = distinct, known
        known.append(self._parts_of(distinct[len(known) :]))
        ids, sizes = known.take(texts.words.numbers)
        return PartRows(ids, np.repeat(np.repeat(np.arange(len(texts)), texts.counts), sizes))

    def _parts_of(self, words: Sequence[str]) -> Runs:
        """Return the ids of the parts of each word."""
        found = self._find_parts("".join([f"{word}{_END}" for word in words]).lower())
        is_part = np.fromiter(map(_END.__ne__, found), np.bool_, len(found))
        ends = np.flatnonzero(~is_part) - np.arange(len(words))
        return Runs(self._number(list(compress(found, is_part))), np.diff(ends, prepend=0))
