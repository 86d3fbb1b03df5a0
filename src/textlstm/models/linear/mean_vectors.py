"""A linear function of the mean of a text's pretrained vectors, stored as one score for each word piece and label.

The mean of vectors times weights equals the mean of (vector times weights), so the saved model stores the scores of the
pieces only: prediction needs neither the vectors nor their package.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from textlstm.arrays.ragged import SplitWords
from textlstm.arrays.strings import pack_strings
from textlstm.models.linear.tfidf import SparseRows
from textlstm.models.linear.word_pieces import PieceCounter


class PieceVectors(NamedTuple):
    """Pretrained vectors of word pieces, and the tokenizer that cuts words into them."""

    vectors: np.ndarray
    """(P, E) float32."""
    tokenizer_json: str
    """For `tokenizers.Tokenizer.from_str`."""


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
