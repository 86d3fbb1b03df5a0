"""TF-IDF weights of character n-grams, within words or across them; equal to scikit-learn's TfidfVectorizer.

Within words they are 2- to 5-grams (analyzer="char_wb"), across words 1- to 3-grams (analyzer="char").
"""

import re
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from textlstm.arrays.chunks import text_blocks
from textlstm.arrays.sparse import SparseRows
from textlstm.arrays.strings import pack_strings, unpack_strings
from textlstm.models.linear.tfidf import inverse_document_frequencies, tfidf_rows

_SHORTEST, _LONGEST = 2, 5
_LONGEST_ACROSS = 3
_WHITE_SPACE = re.compile(r"\s\s+")  # scikit-learn joins runs of two and more
_MAX_WORD = 100
"""Longer words count with their first characters only, so that no row costs more than its length."""
_MAX_CACHED_WORDS = 200_000


@dataclass(frozen=True, slots=True)
class CharacterNgrams:
    """The table of the character n-grams of a training set.

    Within words, each word has a space at both ends. Across words, each text is one long word.
    """

    ngrams: dict[str, int]
    """N-gram -> column."""
    idf: np.ndarray
    """(columns,) float32."""
    across_words: bool = False
    _cache: dict[str, np.ndarray] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def fit(cls, texts: Sequence[str], *, across_words: bool = False, min_count: int = 1) -> "CharacterNgrams":
        """Return the table of all n-grams that occur in at least `min_count` of the `texts`."""
        columns: dict[str, int] = {}
        ngrams_of = _ngrams_across if across_words else _ngrams

        def number(word: str) -> np.ndarray:
            return np.array([columns.setdefault(ngram, len(columns)) for ngram in ngrams_of(word)], dtype=np.int64)

        present = [_count(texts[block], number, across_words=across_words).features for block in text_blocks(texts)]
        frequencies = np.bincount(np.concatenate(present), minlength=len(columns))
        kept = [(ngram, column) for ngram, column in sorted(columns.items()) if frequencies[column] >= min_count]
        idf = inverse_document_frequencies(frequencies[[column for _, column in kept]], num_texts=len(texts))
        return cls({ngram: i for i, (ngram, _) in enumerate(kept)}, idf, across_words)

    @property
    def num_features(self) -> int:
        """Number of columns."""
        return len(self.idf)

    def transform(self, texts: Sequence[str]) -> SparseRows:
        """Return the TF-IDF rows of `texts`, each of length 1 (or empty)."""
        return tfidf_rows(_count(texts, self._columns, across_words=self.across_words), self.idf)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the table as plain arrays."""
        packed = pack_strings(list(self.ngrams))
        arrays = {"ngram_bytes": packed.data, "ngram_offsets": packed.offsets, "idf": self.idf}
        if self.across_words:
            arrays["across_words"] = np.array(1, dtype=np.int64)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "CharacterNgrams":
        """Return the table that `to_arrays` wrote."""
        ngrams = unpack_strings(arrays["ngram_bytes"], arrays["ngram_offsets"])
        return cls({ngram: i for i, ngram in enumerate(ngrams)}, arrays["idf"], "across_words" in arrays)

    def _columns(self, word: str) -> np.ndarray:
        """Return the columns of a word's n-grams, one an occurrence; frequent words are remembered."""
        columns = self._cache.get(word)
        if columns is None:
            ngrams_of = _ngrams_across if self.across_words else _ngrams
            found = [self.ngrams.get(ngram, -1) for ngram in ngrams_of(word)]
            columns = np.array([column for column in found if column >= 0], dtype=np.int64)
            if len(self._cache) >= _MAX_CACHED_WORDS:
                self._cache.clear()
            if not self.across_words:  # a whole text hardly ever comes again
                self._cache[word] = columns
        return columns


def _count(texts: Sequence[str], columns_of: Callable[[str], np.ndarray], *, across_words: bool = False) -> SparseRows:
    """Return how often each column occurs in each text: texts by words times words by columns."""
    from scipy.sparse import csr_array

    numbers: dict[str, int] = {}
    cut = _whole if across_words else _words
    words = [[numbers.setdefault(word, len(numbers)) for word in cut(text)] for text in texts]
    columns = [columns_of(word) for word in numbers]
    in_texts = np.fromiter(chain.from_iterable(words), np.int64, sum(map(len, words)))
    in_words = np.concatenate([np.zeros(0, dtype=np.int64), *columns])
    num_columns = int(in_words.max(initial=0)) + 1
    texts_by_words = csr_array(
        (np.ones(len(in_texts), dtype=np.float32), in_texts, _starts(words)), shape=(len(words), len(numbers))
    )
    words_by_columns = csr_array(
        (np.ones(len(in_words), dtype=np.float32), in_words, _starts(columns)), shape=(len(numbers), num_columns)
    )
    counts = texts_by_words @ words_by_columns
    return SparseRows(counts.indptr.astype(np.int64), counts.indices.astype(np.int64), counts.data)


def _starts(rows: Sequence[Sized]) -> np.ndarray:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum([len(row) for row in rows], dtype=np.int64)])


def _words(text: str) -> list[str]:
    return [word[:_MAX_WORD] for word in text.lower().split()]


def _whole(text: str) -> list[str]:
    """Return the text as one word, as scikit-learn's analyzer "char" reads it: runs of white space are one space."""
    return [_WHITE_SPACE.sub(" ", text.lower())]


def _ngrams_across(text: str) -> list[str]:
    """Return the 1- to 3-grams of a text: "abc" gives ["a", "b", "c", "ab", "bc", "abc"]."""
    return [
        text[i : i + width] for width in range(1, _LONGEST_ACROSS + 1) for i in range(max(len(text) - width + 1, 0))
    ]


def _ngrams(word: str) -> list[str]:
    """Return the n-grams of a word, as scikit-learn cuts them.

    "ab" stands as " ab ": [" a", "ab", "b ", " ab", "ab ", " ab "]; a width beyond the word gives the whole, once.
    """
    padded = f" {word} "
    found = []
    for width in range(_SHORTEST, _LONGEST + 1):
        found += [padded[i : i + width] for i in range(max(len(padded) - width, 0) + 1)]
        if len(padded) <= width:  # what longer widths would give stands there already
            break
    return found
