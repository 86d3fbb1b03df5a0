"""TF-IDF weights of character n-grams, within words or across them; equal to scikit-learn's TfidfVectorizer.

Within words they are 2- to 5-grams (analyzer="char_wb"), across words 1- to 3-grams (analyzer="char").
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from textlstm.arrays.ragged import DistinctRows, RaggedArray, SplitWords, offsets_of, text_blocks
from textlstm.arrays.strings import PackedStrings, TokenColumn, pack_strings, unpack_strings
from textlstm.models.linear.ngram_trie import NgramTrie
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

    packed: PackedStrings
    """The n-grams in order; the number of an n-gram is its column."""
    idf: np.ndarray
    """(columns,) float32."""
    across_words: bool = False
    _trie: NgramTrie = field(init=False, compare=False, repr=False)
    _rows: DistinctRows = field(init=False, compare=False, repr=False)
    """Columns of each distinct word."""

    def __post_init__(self) -> None:
        """Index the n-grams."""
        object.__setattr__(self, "_trie", NgramTrie(self.packed))
        object.__setattr__(self, "_rows", DistinctRows(self._columns_of, np.int32))

    @classmethod
    def fit(cls, texts: Sequence[str], *, across_words: bool = False, min_count: int = 1) -> "CharacterNgrams":
        """Return the table of all n-grams that occur in at least `min_count` of the `texts`."""
        columns: dict[str, int] = {}
        cut: dict[str, np.ndarray] = {}
        ngrams_of = _ngrams_across if across_words else _ngrams

        def number(word: str) -> np.ndarray:
            found = cut.get(word)
            if found is None:
                numbers = [columns.setdefault(ngram, len(columns)) for ngram in ngrams_of(word)]
                found = np.array(numbers, dtype=np.int64)
                if not across_words and len(cut) < _MAX_CACHED_WORDS:
                    cut[word] = found
            return found

        # `number` fills `columns` while texts are counted; each text adds 1 to the frequency of each of its n-grams.
        present = []
        for block in text_blocks(texts):
            words = _split(texts[block], across_words=across_words)
            found = [number(word) for word in words.words.distinct]
            sizes = np.fromiter(map(len, found), np.int64, len(found))
            present.append(_count(words, RaggedArray(np.concatenate([np.zeros(0, np.int64), *found]), sizes)).features)
        frequencies = np.bincount(np.concatenate(present), minlength=len(columns))
        # Columns are numbered anew, in the order of the n-grams.
        kept = [(ngram, column) for ngram, column in sorted(columns.items()) if frequencies[column] >= min_count]
        idf = inverse_document_frequencies(frequencies[[column for _, column in kept]], num_texts=len(texts))
        return cls(pack_strings([ngram for ngram, _ in kept]), idf, across_words)

    @property
    def ngrams(self) -> list[str]:
        """The n-grams, in the order of their columns."""
        return unpack_strings(*self.packed)

    @property
    def num_features(self) -> int:
        """Number of columns."""
        return len(self.idf)

    def transform(self, texts: Sequence[str], words: SplitWords | None = None) -> SparseRows:
        """Return the TF-IDF rows of `texts`, each of length 1 (or empty); `words` are their words, if known already."""
        if self.across_words or words is None:
            words = _split(texts, across_words=self.across_words)
        known = self._rows.of(words)
        if len(words) == 1:
            return tfidf_rows(_count_one(known.take(words.words.numbers).values), self.idf)
        # (U,) distinct words that occur here: each needs its columns once.
        used, numbers = words.words.used()
        here = SplitWords(TokenColumn(words.words.distinct, numbers), words.counts)
        return tfidf_rows(_count(here, known.take(used)), self.idf)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the table as plain arrays."""
        arrays = {"ngram_bytes": self.packed.data, "ngram_offsets": self.packed.offsets, "idf": self.idf}
        if self.across_words:
            arrays["across_words"] = np.array(1, dtype=np.int64)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "CharacterNgrams":
        """Return the table that `to_arrays` wrote."""
        packed = PackedStrings(arrays["ngram_bytes"], arrays["ngram_offsets"])
        return cls(packed, arrays["idf"], "across_words" in arrays)

    def _columns_of(self, words: Sequence[str]) -> RaggedArray:
        """Return the columns of the n-grams of each word, repeated if they occur again."""
        return self._trie.columns_of(
            words if self.across_words else [f" {word.lower()[:_MAX_WORD]} " for word in words]
        )


def _split(texts: Sequence[str], *, across_words: bool) -> SplitWords:
    """Return the words that n-grams stay within, in lower case and cut: across words, each text is one."""
    if across_words:
        # Runs of white space count as one space, as scikit-learn's analyzer "char" does.
        whole = [_WHITE_SPACE.sub(" ", text.lower()) for text in texts]
        return SplitWords(TokenColumn.of(whole), np.ones(len(texts), dtype=np.int64))
    return SplitWords.of([text.lower() for text in texts])


def _count(words: SplitWords, columns: RaggedArray) -> SparseRows:
    """Return how often each column occurs in each of N texts; `columns` are those of each word, by its number.

    It is the product of (texts, words) and (words, columns) counts.
    """
    from scipy.sparse import csr_array

    num_words, num_columns = len(columns.sizes), int(columns.values.max(initial=0)) + 1
    # Words and n-grams that occur again have several entries, which the product adds up.
    numbers = words.words.numbers
    texts_by_words = csr_array(
        (np.ones(len(numbers), dtype=np.float32), numbers, offsets_of(words.counts)), shape=(len(words), num_words)
    )
    words_by_columns = csr_array(
        (np.ones(len(columns.values), dtype=np.float32), columns.values, offsets_of(columns.sizes)),
        shape=(num_words, num_columns),
    )
    counts = texts_by_words @ words_by_columns
    return SparseRows(counts.indptr.astype(np.int64), counts.indices.astype(np.int64), counts.data)


def _count_one(occurrences: np.ndarray) -> SparseRows:
    """Return the row of one text from the columns of its words: a product of sparse matrices takes ten times as long.

    The product lists the columns of a row by their first occurrence, the last one first. So does this function, so that
    later sums have the same last bit.
    """
    features, firsts, counts = np.unique(occurrences, return_index=True, return_counts=True)
    order = np.argsort(-firsts)
    return SparseRows(np.array([0, len(features)]), features[order], counts[order].astype(np.float32))


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
