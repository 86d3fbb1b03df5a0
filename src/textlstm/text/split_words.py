"""Texts cut at white space, as numbers: what is found out of one word serves every place where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self

import numpy as np
from numpy.typing import NDArray

from textlstm.text.token_column import TokenColumn


@dataclass(frozen=True, slots=True)
class SplitWords:
    """The words of N texts, one after another."""

    words: TokenColumn
    """All words as they are written, M of them."""
    counts: NDArray[np.int64]
    """(N,) how many words each text has."""
    goes_on: bool = False
    """Whether other texts come in the same numbering of words, which grows; otherwise it is of these texts alone."""

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        """Return the words of `texts`, as `str.split` finds them."""
        words_of = [text.split() for text in texts]
        counts = np.fromiter(map(len, words_of), np.int64, len(words_of))
        return cls(TokenColumn.of(chain.from_iterable(words_of)), counts)

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.counts)

    def select(self, start: int, end: int) -> Self:
        """Return the words of the texts `start` to `end - 1`."""
        first, last = int(self.counts[:start].sum()), int(self.counts[:end].sum())
        words = TokenColumn(self.words.distinct, self.words.numbers[first:last])
        return type(self)(words, self.counts[start:end], self.goes_on)


def join_split(parts: Sequence[SplitWords]) -> SplitWords:
    """Return the words of all texts of `parts`, whose words have one numbering."""
    if not parts:
        return SplitWords.of([])
    words = TokenColumn(parts[0].words.distinct, np.concatenate([part.words.numbers for part in parts]))
    return SplitWords(words, np.concatenate([part.counts for part in parts]), parts[0].goes_on)
