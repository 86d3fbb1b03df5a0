"""`load_embeddings`: several sources of word vectors side by side, and how much of the vocabulary they cover."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textlstm.embeddings.sources import FoundVectors, read_spacy_vectors, read_vector_file, read_wordllama_vectors
from textlstm.vocabulary import Vocabulary

_NUM_SPECIAL = 2  # <pad> and <unk>
_SCALE = 0.3
"""Root mean square of the entries of every source after scaling, so that no source drowns another."""


@dataclass(frozen=True, slots=True)
class SourceCoverage:
    """How much of a vocabulary one source knows."""

    source: str
    size: int
    """Dimensions."""
    num_found: int
    num_words: int

    def __str__(self) -> str:
        """Return one line for people: `wordllama: 256 dimensions, 980 of 1,000 words (98.0 %)`."""
        share = self.num_found / max(self.num_words, 1)
        return f"{self.source}: {self.size} dimensions, {self.num_found:,} of {self.num_words:,} words ({share:.1%})"


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors of a vocabulary."""

    matrix: np.ndarray
    """(V, E) float32; row 0 (padding) is zero, row 1 (unknown) the mean of all found vectors."""
    found: np.ndarray
    """(V,) bool, True where at least one source knows the word."""
    coverage: tuple[SourceCoverage, ...]


def load_embeddings(
    sources: Sequence[str], vocabulary: Vocabulary, *, language: str = "en", seed: int = 0
) -> Embeddings | None:
    """Return the vectors of `sources`, concatenated; None without sources.

    A source is `wordllama`, `spacy` (the installed model of `language` that has vectors), `spacy:NAME`, or a file of
    GloVe, word2vec or fastText vectors. Every source is scaled to the same root mean square. A word that a source does
    not know gets random numbers of that scale there.

    Raises:
        ConfigError: a package is missing.
        InputError: a file is missing or damaged.
    """
    if not sources:
        return None
    words = vocabulary.tokens[_NUM_SPECIAL:]
    random = np.random.default_rng(seed)
    parts, known, coverage = [], np.zeros(len(vocabulary), dtype=bool), []
    for source in sources:
        vectors, found = _read(source, words, language)
        size = vectors.shape[1]
        # The norm is that of found vectors alone: the zeros of unknown words would make it too small.
        norm = np.sqrt(np.mean(np.square(vectors[found]))) if found.any() else 1.0
        # (V, size) random numbers, then the found words and both special rows over them. Row 1 comes last: it is the
        # mean of the scaled vectors.
        part = random.normal(0, _SCALE, (len(vocabulary), size)).astype(np.float32)
        part[_NUM_SPECIAL:][found] = vectors[found] * (_SCALE / max(norm, 1e-12))
        part[0] = 0
        part[1] = part[_NUM_SPECIAL:][found].mean(axis=0) if found.any() else 0
        parts.append(part)
        known[_NUM_SPECIAL:] |= found
        coverage.append(SourceCoverage(source, size, int(found.sum()), len(words)))
    # The sources side by side: (V, E).
    return Embeddings(np.concatenate(parts, axis=1), known, tuple(coverage))


def _read(source: str, words: Sequence[str], language: str) -> FoundVectors:
    if source == "wordllama":
        return read_wordllama_vectors(words)
    if source == "spacy" or source.startswith("spacy:"):
        return read_spacy_vectors(source.removeprefix("spacy").removeprefix(":"), words, language=language)
    return read_vector_file(Path(source), words)
