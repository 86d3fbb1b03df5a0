"""Rows that say the same: near-duplicates as `textlstm prepare` finds them, whatever case, space and punctuation."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from textlstm.corpus.preparing.near_duplicates import THRESHOLD, Shingles, band_keys, resemblance, shingle
from textlstm.corpus.preparing.token_hashes import hash_strings

_WORD = re.compile(r"\w+")


class DuplicatePair(NamedTuple):
    """Two rows that say the same, `first` < `second`."""

    first: int
    second: int
    similarity: float
    """1.0: the same words in the same order, whatever case, space and punctuation."""


def near_duplicates(texts: Sequence[str], *, min_similarity: float = THRESHOLD) -> list[DuplicatePair]:
    """Return near-duplicates, each row at most once as `second`, joined to an earlier row like it.

    Rows without words are left out. Cost grows with the number of words, not with the number of pairs.
    """
    shingles = _shingles(texts)
    found: dict[int, DuplicatePair] = {}
    for first, second in _candidates(shingles):
        if second in found:
            continue
        similarity = resemblance(shingles.sketch(first), shingles.sketch(second))
        if similarity >= min_similarity:
            found[second] = DuplicatePair(first, second, similarity)
    return sorted(found.values())


def _shingles(texts: Sequence[str]) -> Shingles:
    """Return the shingles of each text's words in lower case."""
    numbers: dict[str, int] = {}
    flat: list[int] = []
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    for index, text in enumerate(texts):
        flat.extend(numbers.setdefault(word, len(numbers)) for word in _WORD.findall(text.casefold()))
        offsets[index + 1] = len(flat)
    word_hashes = hash_strings(pa.array(list(numbers), pa.string()))
    return shingle(word_hashes[np.array(flat, dtype=np.int64)], offsets)


def _candidates(shingles: Shingles) -> list[tuple[int, int]]:
    """Return pairs (earlier row, later row) that agree in one band of MinHash values, the later rows in order."""
    rows: NDArray[np.int64] = np.flatnonzero(np.diff(shingles.offsets) > 0)
    pairs: set[tuple[int, int]] = set()
    for band in band_keys(shingles)[rows].T:
        order = np.argsort(band, kind="stable")
        same = np.flatnonzero(band[order][1:] == band[order][:-1])
        leaders = np.arange(len(order))
        for position in same:  # the first row of a run of equal values leads it
            leaders[position + 1] = leaders[position]
        pairs.update((int(rows[order[leaders[at + 1]]]), int(rows[order[at + 1]])) for at in same)
        pairs.update((int(rows[order[at]]), int(rows[order[at + 1]])) for at in same)
    return sorted(pairs, key=lambda pair: (pair[1], pair[0]))
