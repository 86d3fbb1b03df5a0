"""Blocks of texts of about equal work: words count, not texts."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

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
