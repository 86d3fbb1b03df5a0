"""Rows that say the same: near-duplicates by MinHash over word 3-grams, checked by exact Jaccard similarity."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MIN_SIMILARITY = 0.7
"""Jaccard similarity of the sets of word 3-grams from which on two texts count as near-duplicates."""

_WORD = re.compile(r"\w+")
_SHINGLE = 3
_NUM_BANDS, _ROWS_PER_BAND = 16, 4  # finds 98.8 % of the pairs at similarity 0.7
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


class DuplicatePair(NamedTuple):
    """Two rows that say the same, `first` < `second`."""

    first: int
    second: int
    similarity: float
    """1.0: the same words in the same order, whatever case, space and punctuation."""


def near_duplicates(texts: Sequence[str], *, min_similarity: float = MIN_SIMILARITY) -> list[DuplicatePair]:
    """Return near-duplicates, each row at most once as `second`, joined to an earlier row like it.

    Rows without words are left out. Cost grows with the number of words, not with the number of pairs.
    """
    shingles, offsets = _shingles(texts)
    rows = np.flatnonzero(np.diff(offsets) > 0)
    if not len(rows):
        return []
    candidates = _candidates(shingles, offsets[:-1][rows], rows)
    found: dict[int, DuplicatePair] = {}
    for first, second in candidates:
        if second in found:
            continue
        similarity = _jaccard(shingles, offsets, first, second)
        if similarity >= min_similarity:
            found[second] = DuplicatePair(first, second, similarity)
    return sorted(found.values())


def _shingles(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of every text's word 3-grams (a shorter text is one gram), with (N + 1,) offsets."""
    numbers: dict[str, int] = {}
    flat: list[int] = []
    lengths = np.zeros(len(texts), dtype=np.int64)
    for index, text in enumerate(texts):
        words = _WORD.findall(text.casefold())
        if 0 < len(words) < _SHINGLE:
            words += [""] * (_SHINGLE - len(words))
        flat.extend(numbers.setdefault(word, len(numbers)) for word in words)
        lengths[index] = len(words)
    ids = _mix(np.array(flat, dtype=np.uint64))
    if not len(ids):
        return ids, np.zeros(len(texts) + 1, dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    hashes = np.zeros(len(ids), dtype=np.uint64)
    for step in range(_SHINGLE):
        hashes = _mix(hashes + np.roll(ids, -step))
    within = np.arange(len(ids)) - np.repeat(starts, lengths)
    inside = within <= np.repeat(lengths, lengths) - _SHINGLE
    return hashes[inside], np.concatenate([[0], np.cumsum(np.maximum(lengths - _SHINGLE + 1, 0))])


def _candidates(
    shingles: NDArray[np.uint64], starts: NDArray[np.int64], rows: NDArray[np.int64]
) -> list[tuple[int, int]]:
    """Pairs (earlier row, later row) that agree in one band of MinHash values."""
    pairs: set[tuple[int, int]] = set()
    seed = np.uint64(1)
    for _ in range(_NUM_BANDS):
        band = np.zeros(len(rows), dtype=np.uint64)
        for _ in range(_ROWS_PER_BAND):
            band = _mix(band + np.minimum.reduceat(_mix(shingles ^ seed), starts))
            seed = np.uint64((int(seed) * int(_MULTIPLIER) + 1) % 2**64)
        order = np.argsort(band, kind="stable")
        same = np.flatnonzero(band[order][1:] == band[order][:-1])
        leaders = np.arange(len(order))
        for position in same:  # the first row of a run of equal values leads it
            leaders[position + 1] = leaders[position]
        pairs.update((int(rows[order[leaders[at + 1]]]), int(rows[order[at + 1]])) for at in same)
        pairs.update((int(rows[order[at]]), int(rows[order[at + 1]])) for at in same)
    return sorted(pairs, key=lambda pair: (pair[1], pair[0]))


def _jaccard(shingles: NDArray[np.uint64], offsets: NDArray[np.int64], first: int, second: int) -> float:
    one, other = (set(shingles[offsets[row] : offsets[row + 1]].tolist()) for row in (first, second))
    return len(one & other) / len(one | other)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A fixed bijective hash of 64-bit integers (the finaliser of SplitMix64)."""
    values = values + _MULTIPLIER
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)), dtype=np.uint64)
