"""Rows that are appended again and again: room is taken in doublings, so that a row is copied a few times at most."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from textlstm.arrays.strings import TokenColumn


class ResizableArray:
    """An array or a tensor (N, ...) whose first dimension grows."""

    def __init__(self, first: Any, allocate: Callable[[int], Any]) -> None:
        """Start with the rows of `first`; `allocate` gives room for a number of such rows, whatever is in it."""
        self._room = first
        self._allocate = allocate
        self._num_rows = len(first)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._num_rows

    @property
    def rows(self) -> Any:
        """(N, ...) the rows so far; a view that later growth leaves behind."""
        return self._room[: self._num_rows]

    def append(self, more: Any) -> None:
        """Add the rows of `more`."""
        needed = self._num_rows + len(more)
        if needed > len(self._room):
            room = self._allocate(max(needed, 2 * len(self._room)))
            room[: self._num_rows] = self.rows
            self._room = room
        self._room[self._num_rows : needed] = more
        self._num_rows = needed


class RaggedArray(NamedTuple):
    """Some runs of values, one after another."""

    values: NDArray[Any]
    """(M,) all values."""
    sizes: NDArray[np.int64]
    """(N,) how many values each run has."""


class GrowableRaggedArray:
    """Rows of any length, numbered as they are appended."""

    def __init__(self, dtype: DTypeLike) -> None:
        """Start without a run."""
        self._values = ResizableArray(np.empty(0, dtype), partial(np.empty, dtype=dtype))
        self._ends = ResizableArray(np.zeros(1, np.int64), partial(np.empty, dtype=np.int64))
        """Run k has the values of places `ends[k]` to `ends[k + 1] - 1`."""

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self._ends) - 1

    def append(self, more: RaggedArray) -> None:
        """Add the runs of `more`."""
        self._ends.append(self._ends.rows[-1] + np.cumsum(more.sizes))
        self._values.append(more.values)

    def take(self, numbers: NDArray[np.integer[Any]]) -> RaggedArray:
        """Return the runs of these (N,) numbers, in that order."""
        starts = self._ends.rows[numbers]
        sizes = self._ends.rows[numbers + 1] - starts
        ends = np.cumsum(sizes)
        places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - sizes), sizes)
        return RaggedArray(self._values.rows[places], sizes)


# Texts cut at white space, as numbers: what is found out of one word serves every place where it stands.


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
