"""Ragged data: rows of different lengths one after another in a flat array, and blocks of rows of about equal work."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from textlstm.arrays.strings import TokenColumn


def offsets_of(sizes: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return (N + 1,) int64 offsets of N rows; `sizes` [2, 0, 1] give [0, 2, 2, 3]."""
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return offsets


def row_numbers(sizes: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return (M,) int64: the row that each of the M values is in; `sizes` [2, 0, 1] give [0, 0, 2]."""
    return np.repeat(np.arange(len(sizes)), sizes)


def places_of(starts: NDArray[np.int64], sizes: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return (M,) int64: start, start + 1, ... of each row; `starts` [7, 3] and `sizes` [2, 3] give [7, 8, 3, 4, 5].

    With all `starts` 0, they are the positions of the values within their rows.
    """
    offsets = offsets_of(sizes)
    # A running number 0 .. M - 1, shifted in each row so that the row begins at its own start.
    return np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], sizes)


class ResizableArray:
    """An array or a tensor (N, ...) whose first dimension grows.

    Its room at least doubles when it is full, so appending N rows copies fewer than 2 N rows.
    """

    def __init__(self, first: Any, allocate: Callable[[int], Any]) -> None:
        """Start with the rows of `first`; `allocate(n)` returns uninitialized room for n such rows."""
        self._room = first
        self._allocate = allocate
        self._num_rows = len(first)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._num_rows

    @property
    def rows(self) -> Any:
        """(N, ...) the rows so far; a view, which later calls of `append` may not update."""
        return self._room[: self._num_rows]

    def append(self, more: Any) -> None:
        """Add the rows of `more`."""
        needed = self._num_rows + len(more)
        if needed > len(self._room):
            # Views that `rows` returned earlier keep the old array, which nothing updates from here on.
            room = self._allocate(max(needed, 2 * len(self._room)))
            room[: self._num_rows] = self.rows
            self._room = room
        self._room[self._num_rows : needed] = more
        self._num_rows = needed


class RaggedArray(NamedTuple):
    """N rows of values, one after another."""

    values: NDArray[Any]
    """(M,) all values."""
    sizes: NDArray[np.int64]
    """(N,) number of values of each row."""


class GrowableRaggedArray:
    """Rows of any length, numbered as they are appended."""

    def __init__(self, dtype: DTypeLike) -> None:
        """Start without a row."""
        self._values = ResizableArray(np.empty(0, dtype), partial(np.empty, dtype=dtype))
        self._ends = ResizableArray(np.zeros(1, np.int64), partial(np.empty, dtype=np.int64))
        """Offsets: row k has the values at places `ends[k]` to `ends[k + 1] - 1`."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._ends) - 1

    def append(self, more: RaggedArray) -> None:
        """Add the rows of `more`."""
        # Sizes become places in `_values` behind the last row so far.
        self._ends.append(self._ends.rows[-1] + np.cumsum(more.sizes))
        self._values.append(more.values)

    def take(self, numbers: NDArray[np.integer[Any]]) -> RaggedArray:
        """Return the rows with these (N,) numbers, in that order."""
        starts = self._ends.rows[numbers]
        sizes = self._ends.rows[numbers + 1] - starts
        return RaggedArray(self._values.rows[places_of(starts, sizes)], sizes)


# Texts cut at white space. Words are numbers, so that each distinct word is analyzed once.


@dataclass(frozen=True, slots=True)
class SplitWords:
    """The words of N texts, one after another."""

    words: TokenColumn
    """All words as they are written, M of them."""
    counts: NDArray[np.int64]
    """(N,) number of words of each text."""
    goes_on: bool = False
    """Whether later texts continue this numbering of words; otherwise `words.distinct` belongs to these texts alone."""

    @classmethod
    def of(cls, texts: Sequence[str], *, goes_on: bool = False) -> Self:
        """Return the words of `texts`, as `str.split` finds them; `goes_on` if parts of them will be selected."""
        words_of = [text.split() for text in texts]
        counts = np.fromiter(map(len, words_of), np.int64, len(words_of))
        return cls(TokenColumn.of(chain.from_iterable(words_of)), counts, goes_on)

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.counts)

    def select(self, start: int, end: int) -> Self:
        """Return the words of the texts `start` to `end - 1`."""
        # The words of earlier texts stand before those of `start`; `distinct` is shared, not cut.
        first, last = int(self.counts[:start].sum()), int(self.counts[:end].sum())
        words = TokenColumn(self.words.distinct, self.words.numbers[first:last])
        return type(self)(words, self.counts[start:end], self.goes_on)

    def pick(self, rows: NDArray[np.int64]) -> Self:
        """Return the words of the texts with these (R,) numbers, in that order."""
        counts = self.counts[rows]
        places = places_of(offsets_of(self.counts)[rows], counts)
        return type(self)(TokenColumn(self.words.distinct, self.words.numbers[places]), counts, self.goes_on)


def join_split(parts: Sequence[SplitWords]) -> SplitWords:
    """Return the words of all texts of `parts`, whose words have one numbering."""
    if not parts:
        return SplitWords.of([])
    words = TokenColumn(parts[0].words.distinct, np.concatenate([part.words.numbers for part in parts]))
    return SplitWords(words, np.concatenate([part.counts for part in parts]), parts[0].goes_on)


class DistinctRows:
    """A row of values for each distinct word, kept while texts continue one numbering of words."""

    def __init__(self, rows_of: Callable[[Sequence[str]], RaggedArray], dtype: DTypeLike) -> None:
        """Take the rows of new words, of `dtype`, from `rows_of`."""
        self._rows_of, self._dtype = rows_of, dtype
        self._distinct: Sequence[str] = ()
        self._rows = GrowableRaggedArray(dtype)
        """Of the words of `_distinct` that were met."""

    def of(self, texts: SplitWords) -> GrowableRaggedArray:
        """Return the rows of all of `texts.words.distinct`, by the numbers of the words."""
        distinct = texts.words.distinct
        # Rows hold for one numbering of words only; words beyond those that were met are new.
        known = self._rows if distinct is self._distinct else GrowableRaggedArray(self._dtype)
        if texts.goes_on:
            self._distinct, self._rows = distinct, known
        if len(known) < len(distinct):
            known.append(self._rows_of(distinct[len(known) :]))
        return known


# Blocks of texts of about equal work: words count, not texts.


# Many texts in runs of bounded size, and bounded samples of them.

_BLOCK_TEXTS = 1_000
_BLOCK_CHARACTERS = 2_000_000
_LEAST_SAMPLE = 400


def text_blocks(texts: Sequence[str]) -> Iterator[slice]:
    """Yield slices of `texts`, in order, each small enough to be worked on at once; at least one slice."""
    start = characters = 0
    for i, text in enumerate(texts):
        if i > start and (i - start == _BLOCK_TEXTS or characters + len(text) > _BLOCK_CHARACTERS):
            yield slice(start, i)
            start, characters = i, 0
        characters += len(text)
    # Without texts this is an empty slice, so that callers have at least one part to concatenate.
    yield slice(start, len(texts))


def bounded_sample(texts: Sequence[str], seed: int, *, most_rows: int, most_characters: int) -> np.ndarray:
    """Return the indices of at most `most_rows` random texts; beyond 400 they hold at most `most_characters`."""
    order = np.random.default_rng(seed).permutation(len(texts))[:most_rows]
    characters = np.cumsum([len(texts[i]) for i in order])
    # The longest start of the random order below the limit of characters, but at least _LEAST_SAMPLE texts.
    return np.asarray(order[: max(int(np.searchsorted(characters, most_characters)), _LEAST_SAMPLE)])


def blocks_by_words(texts: Iterable[str], *, max_words: int) -> Iterator[list[str]]:
    """Yield lists of texts with at most `max_words` words each, in order; a longer text is a block of its own.

    Words are estimated as one for every six characters plus one for the text, which costs nothing.
    """
    block: list[str] = []
    num_words = 0
    for text in texts:
        words = len(text) // 6 + 1
        if block and num_words + words > max_words:
            yield block
            block, num_words = [], 0
        block.append(text)
        num_words += words
    if block:
        yield block


class Bounds(NamedTuple):
    """Texts `start` to `end - 1`."""

    start: int
    end: int


def block_bounds(texts: Sequence[str], *, max_chars: int) -> Iterator[Bounds]:
    """Yield the bounds of blocks that end with the text that fills `max_chars` characters; nothing for no texts."""
    start = num_chars = 0
    for index, text in enumerate(texts):
        num_chars += len(text)
        if num_chars >= max_chars:
            yield Bounds(start, index + 1)
            start, num_chars = index + 1, 0
    if start < len(texts):
        yield Bounds(start, len(texts))
