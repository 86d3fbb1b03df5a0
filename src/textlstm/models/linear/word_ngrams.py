"""TF-IDF weights of word n-grams, computed with arrays; equal to scikit-learn's TfidfVectorizer."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import compress, repeat
from typing import NamedTuple

import numpy as np

from textlstm.arrays.hashing import KeyIndex
from textlstm.arrays.ragged import DistinctRows, RaggedArray, SplitWords, row_numbers
from textlstm.arrays.strings import Numbering, pack_strings, unpack_strings
from textlstm.models.linear.tfidf import SparseRows, count_rows, inverse_document_frequencies, tfidf_rows

# Words and punctuation marks, found once for each distinct string between white space.

_END = "\n"
"""Separates words in one long string; neither a part nor a rule of lower case reaches across it."""
_PATTERNS = {
    False: re.compile(rf"(?u)\w\w+|{_END}"),  # scikit-learn's token_pattern; \b around it changes nothing
    True: re.compile(r"(?u)\W|\w+"),  # one-letter words and punctuation marks too
}


class PartRows(NamedTuple):
    """The parts of N texts, one after another."""

    ids: np.ndarray
    """(M,) int64, -1 for a part that is not in the table."""
    rows: np.ndarray
    """(M,) int64 number of the text that the part is in."""


class WordParts:
    """Cuts words into parts and looks up the ids of the parts.

    The parts of a word are cached while texts continue one numbering of words.
    """

    def __init__(self, number: Callable[[list[str]], np.ndarray], *, all_tokens: bool) -> None:
        """Take ids from `number`, which maps a list of parts to int64 ids.

        With `all_tokens`, one-letter words and punctuation marks are parts; scikit-learn's default leaves them out.
        """
        self._number = number
        self._find_parts = _PATTERNS[all_tokens].findall
        self._rows = DistinctRows(self._parts_of, np.int64)
        """Ids of the parts of each distinct word."""

    def find(self, texts: SplitWords) -> PartRows:
        """Return the parts of `texts`."""
        # (W,) words become (M,) parts; each part gets the number of the text that its word is in.
        ids, sizes = self._rows.of(texts).take(texts.words.numbers)
        return PartRows(ids, np.repeat(row_numbers(texts.counts), sizes))

    def _parts_of(self, words: Sequence[str]) -> RaggedArray:
        """Return the ids of the parts of each word."""
        # One long string needs one search, whatever the number of words.
        joined = "".join([f"{word}{_END}" for word in words])
        if joined.count(_END) > len(words):  # a tokenizer also numbers pieces of several words and lines
            joined = "".join([f"{word.replace(_END, ' ')}{_END}" for word in words])
        found = self._find_parts(joined.lower())
        is_part = np.fromiter(map(_END.__ne__, found), np.bool_, len(found))
        # In front of separator k there are k separators: without them its place counts the parts before it.
        ends = np.flatnonzero(~is_part) - np.arange(len(words))
        return RaggedArray(self._number(list(compress(found, is_part))), np.diff(ends, prepend=0))


@dataclass(frozen=True, slots=True)
class WordNgrams:
    """The table of word 1- and 2-grams of a training set, with their inverse document frequencies.

    Column i < len(words) is `words[i]`; the columns after them are the word pairs.
    """

    words: dict[str, int]
    """Word -> number, in order of the words."""
    pairs: KeyIndex
    """Ascending int64 keys `first * len(words) + second` of the pairs."""
    idf: np.ndarray
    """(columns,) float32."""
    all_tokens: bool
    """Whether one-letter words and punctuation marks count as words; scikit-learn's default leaves them out."""
    _parts: WordParts = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Make the finder of words."""
        object.__setattr__(self, "_parts", WordParts(self._number, all_tokens=self.all_tokens))

    @classmethod
    def fit(cls, texts: SplitWords, *, all_tokens: bool = False, min_count: int = 1) -> "WordNgrams":
        """Return the table of all n-grams that occur in at least `min_count` of the `texts`."""
        first_seen = Numbering()

        def number(words: list[str]) -> np.ndarray:
            return first_seen.of(words).astype(np.int64)

        # Number the words in the order of first occurrence, then alphabetically.
        found, rows = WordParts(number, all_tokens=all_tokens).find(texts)
        in_order = sorted(first_seen)
        renumber = np.empty(len(in_order), dtype=np.int64)
        renumber[[first_seen[word] for word in in_order]] = np.arange(len(in_order))
        word_ids = renumber[found]
        pair_keys, pair_rows = _pair_keys(PartRows(word_ids, rows), len(in_order))

        # Document frequencies of words and of pairs.
        word_df = np.bincount(_distinct(word_ids, rows, len(in_order)), minlength=len(in_order))
        pairs, pair_ids = np.unique(pair_keys, return_inverse=True)
        pair_df = np.bincount(_distinct(pair_ids, pair_rows, len(pairs)), minlength=len(pairs))

        # Drop rare n-grams. A frequent pair has frequent words, so the words of every kept pair are kept.
        kept = np.flatnonzero(word_df >= min_count)
        new_ids = np.full(len(in_order), -1)
        new_ids[kept] = np.arange(len(kept))
        pairs = pairs[pair_df >= min_count]
        pairs = new_ids[pairs // max(len(in_order), 1)] * len(kept) + new_ids[pairs % max(len(in_order), 1)]
        frequencies = np.concatenate([word_df[kept], pair_df[pair_df >= min_count]])
        idf = inverse_document_frequencies(frequencies, num_texts=len(texts))
        return cls({in_order[i]: k for k, i in enumerate(kept.tolist())}, KeyIndex(pairs), idf, all_tokens)

    @property
    def num_features(self) -> int:
        """Number of columns."""
        return len(self.idf)

    def transform(self, texts: SplitWords) -> SparseRows:
        """Return the TF-IDF rows of `texts`, each of length 1 (or empty)."""
        words = self._parts.find(texts)
        pair_keys, pair_rows = _pair_keys(words, len(self.words))
        places = self.pairs.places(pair_keys)
        # Unknown words have id -1 and unknown pairs place -1: both are left out. Columns of pairs follow those of
        # words.
        hits = places >= 0
        known = words.ids >= 0
        features = np.concatenate([words.ids[known], places[hits] + len(self.words)])
        rows = np.concatenate([words.rows[known], pair_rows[hits]])
        counts = count_rows(features, rows, num_features=self.num_features, num_rows=len(texts))
        return tfidf_rows(counts, self.idf)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the table as plain arrays."""
        packed = pack_strings(list(self.words))
        return {
            "word_bytes": packed.data,
            "word_offsets": packed.offsets,
            "pairs": self.pairs.keys,
            "idf": self.idf,
            "all_tokens": np.array([self.all_tokens], dtype=np.uint8),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "WordNgrams":
        """Return the table that `to_arrays` wrote."""
        words = unpack_strings(arrays["word_bytes"], arrays["word_offsets"])
        return cls(
            {word: i for i, word in enumerate(words)},
            KeyIndex(arrays["pairs"]),
            arrays["idf"],
            bool(arrays["all_tokens"][0]),
        )

    def _number(self, words: list[str]) -> np.ndarray:
        return np.fromiter(map(self.words.get, words, repeat(-1)), np.int64, len(words))


def _pair_keys(words: PartRows, num_words: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys of neighboring known words of one text, and the texts that they are in."""
    first, second = words.ids[:-1], words.ids[1:]
    together = (words.rows[:-1] == words.rows[1:]) & (first >= 0) & (second >= 0)
    return first[together] * num_words + second[together], words.rows[:-1][together]


def _distinct(features: np.ndarray, rows: np.ndarray, num_features: int) -> np.ndarray:
    """Return each feature once for every row that has it."""
    # One number for each (row, feature); the remainder is the feature again.
    keys = rows * np.int64(max(num_features, 1)) + features
    # Rows are in order, which this sort uses: 0.14 s for 5.8 million numbers, where np.unique hashes them in 3 s.
    keys.sort(kind="stable")
    distinct: np.ndarray = keys[np.diff(keys, prepend=-1) > 0] % max(num_features, 1)
    return distinct
