"""A linear function of the mean of a text's pretrained vectors, stored as one score for each word piece and label.

The mean of vectors times weights equals the mean of (vector times weights), so the saved model stores the scores of the
pieces only: prediction needs neither the vectors nor their package.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from textlstm.arrays.ragged import DistinctRows, RaggedArray, SplitWords, offsets_of, row_numbers
from textlstm.arrays.strings import pack_strings
from textlstm.models.linear.tfidf import SparseRows

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_MAX_WORD = 100
"""Longer words count with their first characters only."""
_FEW_WORDS = 256
_MAX_CACHED_WORDS = 100_000


class PieceVectors(NamedTuple):
    """Pretrained vectors of word pieces, and the tokenizer that cuts words into them."""

    vectors: np.ndarray
    """(P, E) float32."""
    tokenizer_json: str
    """For `tokenizers.Tokenizer.from_str`."""


class PieceCounter:
    """Counts the word pieces of texts; the pieces of a word are cached while texts continue one numbering of words."""

    def __init__(self, tokenizer_json: str) -> None:
        """Read a tokenizer of the library tokenizers.

        Args:
            tokenizer_json: what `Tokenizer.to_str` wrote.
        """
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(tokenizer_json)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.num_pieces: int = self._tokenizer.get_vocab_size()
        self._rows = DistinctRows(self._pieces_of, np.int64)
        """Ids of the pieces of each distinct word."""
        self._cache: dict[str, list[int]] = {}
        """Ids of the pieces of words that came a few at a time."""

    def pieces_of_one(self, texts: SplitWords) -> np.ndarray:
        """Return the ids of all pieces of a single text, in its order."""
        distinct = texts.words.distinct
        return self._pieces_of([distinct[number] for number in texts.words.numbers.tolist()]).values

    def shares(self, texts: SplitWords) -> "csr_array":
        """Return (N, P) float32 shares of each piece among the pieces of each text; a row sums to 1, or to 0."""
        from scipy.sparse import csr_array

        # From the pieces of each word to the pieces of each text: one row number for each piece.
        ids, sizes = self._rows.of(texts).take(texts.words.numbers)
        rows = np.repeat(row_numbers(texts.counts), sizes)
        offsets = offsets_of(np.bincount(rows, minlength=len(texts)))
        # Each occurrence of a piece weighs one part of its text; `sum_duplicates` adds up repeated pieces.
        weights = (1 / np.diff(offsets).clip(1))[rows].astype(np.float32)
        shares = csr_array((weights, ids, offsets), shape=(len(texts), self.num_pieces))
        shares.sum_duplicates()
        return shares

    def sums(self, words: Sequence[str], scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the (W, L) sums of the (P, L) `scores` of each word's pieces, and the (W,) numbers of pieces."""
        ids, sizes = self._pieces_of(words)
        sums = np.zeros((len(words), scores.shape[1]), dtype=np.float32)
        np.add.at(sums, row_numbers(sizes), scores[ids])
        return sums, sizes

    def _pieces_of(self, words: Sequence[str]) -> RaggedArray:
        # Lone surrogates, which tokenizers cannot take, become question marks.
        clean = [word[:_MAX_WORD].encode("utf-8", "replace").decode("utf-8") for word in words]
        # A batch of the tokenizer starts threads; the few words of one text are looked up, or cut one by one.
        if len(clean) < _FEW_WORDS:
            found = [self._pieces_of_word(word) for word in clean]
        else:
            found = [encoding.ids for encoding in self._tokenizer.encode_batch(clean, add_special_tokens=False)]
        sizes = np.fromiter(map(len, found), np.int64, len(found))
        return RaggedArray(np.fromiter((piece for ids in found for piece in ids), np.int64, int(sizes.sum())), sizes)

    def _pieces_of_word(self, word: str) -> list[int]:
        ids = self._cache.get(word)
        if ids is None:
            if len(self._cache) >= _MAX_CACHED_WORDS:
                self._cache.clear()
            ids = self._cache[word] = self._tokenizer.encode(word, add_special_tokens=False).ids
        return ids


class WordParts(NamedTuple):
    """The distinct words of a text and the summand of each in the margins."""

    words: tuple[str, ...]
    margins: np.ndarray
    """(W, L) float32."""


@dataclass(frozen=True, slots=True)
class VectorMeans:
    """A linear function of the mean of the vectors of a text's pieces."""

    tokenizer_json: str
    scores: np.ndarray
    """(P, L) float32 margins of a text that consists of this piece only."""
    _counter: PieceCounter = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Open the tokenizer."""
        object.__setattr__(self, "_counter", PieceCounter(self.tokenizer_json))

    def __call__(self, texts: SplitWords) -> np.ndarray:
        """Return (N, L) float32 margins; a text without words gets zeros."""
        if len(texts) == 1:
            return self._of_one(texts)
        return np.asarray(self._counter.shares(texts) @ self.scores, dtype=np.float32)

    def _of_one(self, text: SplitWords) -> np.ndarray:
        """Return (1, L) margins of one text: the sums of the sparse product, in its order and to the last bit."""
        ids, places = np.unique(self._counter.pieces_of_one(text), return_inverse=True)
        shares = np.zeros(len(ids), dtype=np.float32)
        np.add.at(shares, places, np.float32(1 / max(len(places), 1)))
        if not len(ids):
            return np.zeros((1, self.scores.shape[1]), dtype=np.float32)
        return np.cumsum(shares[:, None] * self.scores[ids], axis=0, dtype=np.float32)[-1:]

    def parts(self, text: str) -> "WordParts":
        """Return the summand of each distinct word of `text` in the margins."""
        counts = Counter(text.split())
        words = list(counts)
        scores, num_pieces = self._counter.sums(words, self.scores)
        occurrences = np.fromiter(counts.values(), np.float32, len(words))
        # Scores are of a mean over the pieces of the text: divide by their number, repetitions included.
        whole = max(float(occurrences @ num_pieces), 1.0)
        return WordParts(tuple(words), scores * (occurrences / whole)[:, None])

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the function as plain arrays."""
        return {"tokenizer": pack_strings([self.tokenizer_json]).data, "scores": self.scores}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "VectorMeans":
        """Return the function that `to_arrays` wrote."""
        return cls(arrays["tokenizer"].tobytes().decode("utf-8"), arrays["scores"])


@dataclass(frozen=True, slots=True)
class MeanVectorFeatures:
    """The mean vector of each text as columns for a linear machine.

    All vectors are scaled by one number, so that training rows have a root mean square length of `weight`; rows of
    n-grams have length 1.
    """

    tokenizer_json: str
    vectors: np.ndarray
    """(P, E) float32, scaled."""

    @classmethod
    def fit(cls, texts: SplitWords, pretrained: PieceVectors, *, weight: float) -> "MeanVectorFeatures":
        """Return the features of `pretrained` vectors, scaled so that `texts` have rows of length `weight`."""
        vectors, tokenizer_json = pretrained
        means = PieceCounter(tokenizer_json).shares(texts) @ vectors
        length = float(np.sqrt(np.square(means).sum(axis=1).mean())) if len(texts) else 0.0
        return cls(tokenizer_json, (vectors * (weight / max(length, 1e-9))).astype(np.float32))

    @property
    def num_features(self) -> int:
        """Number of columns, E."""
        return int(self.vectors.shape[1])

    def transform(self, texts: SplitWords) -> SparseRows:
        """Return the mean vectors of `texts`; every row has every column."""
        means = np.asarray(PieceCounter(self.tokenizer_json).shares(texts) @ self.vectors, dtype=np.float32)
        num_rows, num_columns = means.shape
        offsets = np.arange(num_rows + 1, dtype=np.int64) * num_columns
        return SparseRows(offsets, np.tile(np.arange(num_columns, dtype=np.int64), num_rows), means.ravel())

    def with_weights(self, weights: np.ndarray) -> VectorMeans:
        """Return the linear function with these (E, L) `weights` of the columns."""
        return VectorMeans(self.tokenizer_json, np.ascontiguousarray(self.vectors @ weights, dtype=np.float32))
