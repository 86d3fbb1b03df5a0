"""TF-IDF weights of character n-grams, within words or across them; equal to scikit-learn's TfidfVectorizer.

Within words they are 2- to 5-grams (analyzer="char_wb"), across words 1- to 3-grams (analyzer="char").
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from textlstm.arrays.ragged import offsets_of, text_blocks
from textlstm.arrays.strings import pack_strings, unpack_strings
from textlstm.models.linear.tfidf import SparseRows, inverse_document_frequencies, tfidf_rows

_SHORTEST, _LONGEST = 2, 5
_LONGEST_ACROSS = 3
_WHITE_SPACE = re.compile(r"\s\s+")  # scikit-learn joins runs of two and more
_MAX_WORD = 100
"""Longer words are cut to their first characters, so that the work is linear in the length of a text."""
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

        cut: dict[str, np.ndarray] = {}

        def number(word: str) -> np.ndarray:
            found = cut.get(word)
            if found is None:
                numbers = [columns.setdefault(ngram, len(columns)) for ngram in ngrams_of(word)]
                found = np.array(numbers, dtype=np.int64)
                if not across_words and len(cut) < _MAX_CACHED_WORDS:
                    cut[word] = found
            return found

        # `number` fills `columns` while texts are counted; each text adds 1 to the frequency of each of its n-grams.
        present = [_count(texts[block], number, across_words=across_words).features for block in text_blocks(texts)]
        frequencies = np.bincount(np.concatenate(present), minlength=len(columns))
        # Columns are numbered anew, in the order of the n-grams.
        kept = [(ngram, column) for ngram, column in sorted(columns.items()) if frequencies[column] >= min_count]
        idf = inverse_document_frequencies(frequencies[[column for _, column in kept]], num_texts=len(texts))
        table = cls({ngram: i for i, (ngram, _) in enumerate(kept)}, idf, across_words)
        # The training texts are transformed next: their words need not be cut again.
        renumber = np.full(len(columns), -1, dtype=np.int64)
        renumber[[column for _, column in kept]] = np.arange(len(kept))
        for word, numbers in cut.items():
            known = renumber[numbers]
            table._cache[word] = known[known >= 0]
        return table

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
        """Return the column of each n-gram of a word, repeated if it occurs again; words are cached."""
        columns = self._cache.get(word)
        if columns is None:
            ngrams_of = _ngrams_across if self.across_words else _ngrams
            found = [self.ngrams.get(ngram, -1) for ngram in ngrams_of(word)]
            columns = np.array([column for column in found if column >= 0], dtype=np.int64)
            if len(self._cache) >= _MAX_CACHED_WORDS:
                self._cache.clear()
            if not self.across_words:  # a whole text hardly ever occurs again
                self._cache[word] = columns
        return columns


def _count(texts: Sequence[str], columns_of: Callable[[str], np.ndarray], *, across_words: bool = False) -> SparseRows:
    """Return how often each column occurs in each text: the product of (texts, words) and (words, columns) counts."""
    cut = _whole if across_words else _words
    if len(texts) == 1:
        return _count_one([columns_of(word) for word in cut(texts[0])])
    from scipy.sparse import csr_array

    numbers: dict[str, int] = {}
    # Each distinct word is cut once; a text becomes a row of word numbers.
    words = [[numbers.setdefault(word, len(numbers)) for word in cut(text)] for text in texts]
    columns = [columns_of(word) for word in numbers]
    words_a_text = np.fromiter(map(len, words), np.int64, len(words))
    columns_a_word = np.fromiter(map(len, columns), np.int64, len(columns))
    in_texts = np.fromiter(chain.from_iterable(words), np.int64, int(words_a_text.sum()))
    in_words = np.concatenate([np.zeros(0, dtype=np.int64), *columns])
    num_columns = int(in_words.max(initial=0)) + 1
    # Words and n-grams that occur again have several entries, which the product adds up.
    texts_by_words = csr_array(
        (np.ones(len(in_texts), dtype=np.float32), in_texts, offsets_of(words_a_text)), shape=(len(words), len(numbers))
    )
    words_by_columns = csr_array(
        (np.ones(len(in_words), dtype=np.float32), in_words, offsets_of(columns_a_word)),
        shape=(len(numbers), num_columns),
    )
    counts = texts_by_words @ words_by_columns
    return SparseRows(counts.indptr.astype(np.int64), counts.indices.astype(np.int64), counts.data)


def _count_one(columns: Sequence[np.ndarray]) -> SparseRows:
    """Return the row of one text from the columns of its words: a product of sparse matrices takes ten times as long.

    The product lists the columns of a row by their first occurrence, the last one first. So does this function, so that
    later sums have the same last bit.
    """
    occurrences = np.concatenate([np.zeros(0, dtype=np.int64), *columns])
    features, firsts, counts = np.unique(occurrences, return_index=True, return_counts=True)
    order = np.argsort(-firsts)
    return SparseRows(np.array([0, len(features)]), features[order], counts[order].astype(np.float32))


def _words(text: str) -> list[str]:
    return [word[:_MAX_WORD] for word in text.lower().split()]


def _whole(text: str) -> list[str]:
    """Return the text as one word with runs of white space as one space, as scikit-learn's analyzer "char" does."""
    return [_WHITE_SPACE.sub(" ", text.lower())]


def _ngrams_across(text: str) -> list[str]:
    """Return the 1- to 3-grams of a text: "abc" gives ["a", "b", "c", "ab", "bc", "abc"]."""
    return [
        text[i : i + width] for width in range(1, _LONGEST_ACROSS + 1) for i in range(max(len(text) - width + 1, 0))
    ]


def _ngrams(word: str) -> list[str]:
    """Return the n-grams of a word, as scikit-learn cuts them.

    "ab" is padded to " ab " and gives [" a", "ab", "b ", " ab", "ab ", " ab "]; then the padded word once.
    """
    padded = f" {word} "
    found = []
    for width in range(_SHORTEST, _LONGEST + 1):
        found += [padded[i : i + width] for i in range(max(len(padded) - width, 0) + 1)]
        if len(padded) <= width:  # longer widths would repeat the padded word
            break
    return found
