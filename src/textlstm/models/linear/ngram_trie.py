"""A lookup of character n-grams for many words at once, by arrays.

An n-gram is found by its beginning: characters are nodes, and so is every beginning of an n-gram, numbered within its
width. The node of "abc" is the place of the key (node of "ab", character "c"). A place in a word at which no long
n-gram begins is done with after the short ones.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from textlstm.arrays.hashing import KeyIndex
from textlstm.arrays.ragged import RaggedArray, offsets_of, row_numbers
from textlstm.arrays.strings import PackedStrings

_NONE = -1


class _Level(NamedTuple):
    """The nodes of one width."""

    nodes: KeyIndex
    """Keys `node of the beginning * characters + last character`; of width 1, the characters themselves."""
    columns: np.ndarray
    """(nodes,) int32 column of the n-gram, -1 where the node is a beginning only."""


class NgramTrie:
    """Columns of the n-grams of a table."""

    def __init__(self, ngrams: PackedStrings) -> None:
        """Index N distinct n-grams; the column of an n-gram is its number."""
        # Bytes of UTF-8 to code points: a character starts at each byte that continues no other.
        codes = _code_points(ngrams.data.tobytes().decode("utf-8", "surrogatepass"))
        bounds = offsets_of((ngrams.data & 0xC0) != 0x80)[ngrams.offsets]
        starts, widths = bounds[:-1], np.diff(bounds)
        # Characters are numbered from 1; 0 stands for all that are in no n-gram, the last code among them.
        distinct = np.unique(codes)
        self._numbers = np.zeros(int(distinct.max(initial=0)) + 2, dtype=np.int64)
        self._numbers[distinct] = np.arange(1, len(distinct) + 1)
        self._num_characters = len(distinct) + 1
        self._levels: list[_Level] = []
        nodes, left = np.zeros(len(widths), dtype=np.int64), np.flatnonzero(widths > 0)
        width = 0
        # Width by width: the beginnings of all n-grams that are at least so wide.
        while len(left):
            keys = nodes[left] * self._num_characters + self._numbers[codes[starts[left] + width]]
            known, nodes[left] = np.unique(keys, return_inverse=True)
            width += 1
            ends = left[widths[left] == width]
            columns = np.full(len(known), _NONE, dtype=np.int32)
            columns[nodes[ends]] = ends
            self._levels.append(_Level(KeyIndex(known), columns))
            left = left[widths[left] > width]

    def columns_of(self, words: Sequence[str]) -> RaggedArray:
        """Return the int32 columns of the n-grams of each of W words, the shortest n-grams first, in their order."""
        codes = _code_points("".join(words))
        sizes = np.fromiter(map(len, words), np.int64, len(words))
        characters = self._numbers[np.minimum(codes, len(self._numbers) - 1)]
        rows = row_numbers(sizes)  # (C,) the word that each character is in
        ends = offsets_of(sizes)[1:][rows]
        # (S,) places at which an n-gram may start, each with the node of what was read from there.
        places, nodes = np.arange(len(codes)), np.zeros(len(codes), dtype=np.int64)
        found, found_rows = [np.zeros(0, dtype=np.int32)], [np.zeros(0, dtype=np.int64)]
        for width, level in enumerate(self._levels):
            inside = places + width < ends[places]
            places, nodes = places[inside], nodes[inside]
            nodes = level.nodes.places(nodes * self._num_characters + characters[places + width])
            is_known = nodes >= 0
            places, nodes = places[is_known], nodes[is_known]
            columns = level.columns[nodes]
            is_column = columns >= 0
            found.append(columns[is_column])
            found_rows.append(rows[places[is_column]])
        # From widths one after another to words one after another.
        all_rows = np.concatenate(found_rows)
        order = np.argsort(all_rows, kind="stable")
        return RaggedArray(np.concatenate(found)[order], np.bincount(all_rows, minlength=len(words)))


def _code_points(text: str) -> np.ndarray:
    """Return the (C,) uint32 code points of a text."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
