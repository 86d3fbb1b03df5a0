"""The words and marks that the linear expert reads, found once for each distinct word between white space."""

import re
from collections.abc import Callable, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from textlstm.text.growing import GrowingRuns, Runs
from textlstm.text.split_words import SplitWords

_PATTERNS = {
    False: re.compile(r"(?u)\b\w\w+\b"),  # scikit-learn's token_pattern
    True: re.compile(r"(?u)\w+|[^\w\s]"),  # short words and punctuation count too
}


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
        self._ids = GrowingRuns(np.int64)
        """Of the parts of each known word."""

    def find(self, texts: SplitWords) -> PartRows:
        """Return the parts of `texts`."""
        if texts.words.distinct is not self._distinct:
            self._clear(texts.words.distinct)
        self._learn(self._distinct[len(self._ids) :])
        ids, sizes = self._ids.take(texts.words.numbers)
        return PartRows(ids, np.repeat(np.repeat(np.arange(len(texts)), texts.counts), sizes))

    def _learn(self, words: Sequence[str]) -> None:
        parts_of = [self._find_parts(word.lower()) for word in words]
        sizes = np.fromiter(map(len, parts_of), np.int64, len(parts_of))
        self._ids.append(Runs(self._number(list(chain.from_iterable(parts_of))), sizes))
