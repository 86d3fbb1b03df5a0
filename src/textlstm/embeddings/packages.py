"""Vectors inside installed packages: a spaCy model's, and wordllama's static token table."""

import importlib.metadata
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from textlstm.config import ModelConfig
from textlstm.embeddings.found import FoundVectors, spellings
from textlstm.errors import ConfigError
from textlstm.models.linear.mean_vectors import PieceVectors
from textlstm.text.spacy_models import open_vectors

_WORDLLAMA_WEIGHTS = Path("weights/l2_supercat_256.safetensors")
_WORDLLAMA_TOKENIZER = Path("tokenizers/l2_supercat_tokenizer_config.json")


def read_spacy_vectors(model: str, words: Sequence[str], *, language: str) -> FoundVectors:
    """Return the vectors of an installed spaCy model.

    Args:
        model: name of the package or a folder; empty means the first installed one of `language` that has vectors.
        words: the words to look up.
        language: spaCy language code.

    Raises:
        ConfigError: no such model, or it has no vectors.
    """
    table = open_vectors(model, language=language)
    found = np.zeros(len(words), dtype=bool)
    matrix = np.zeros((len(words), table.data.shape[1]), dtype=np.float32)
    for i, word in enumerate(words):
        row = next((row for spelling in spellings(word) if (row := table.row_of(spelling)) >= 0), -1)
        if row >= 0:
            found[i], matrix[i] = True, table.data[row]
    return FoundVectors(matrix, found)


def has_wordllama() -> bool:
    """Return whether the package is installed."""
    return find_spec("wordllama") is not None


def read_wordllama_table() -> PieceVectors:
    """Return wordllama's table; the package's own files are read, its code is not run and nothing is fetched.

    Raises:
        ConfigError: the package is not installed, or holds other files than the supported release.
    """
    spec = find_spec("wordllama")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError("model.embeddings: 'wordllama' is not installed. Install wordllama==0.4.0.post1.")
    folder = Path(spec.submodule_search_locations[0])
    if not (folder / _WORDLLAMA_WEIGHTS).is_file() or not (folder / _WORDLLAMA_TOKENIZER).is_file():
        version = importlib.metadata.version("wordllama")
        raise ConfigError(f"model.embeddings: wordllama {version} lacks {_WORDLLAMA_WEIGHTS}. Install 0.4.0.post1.")
    from safetensors.numpy import load_file

    return PieceVectors(
        load_file(folder / _WORDLLAMA_WEIGHTS)["embedding.weight"].astype(np.float32),
        (folder / _WORDLLAMA_TOKENIZER).read_text(encoding="utf-8"),
    )


def vectors_of_expert(config: ModelConfig) -> PieceVectors | None:
    """Return the vectors that the linear expert counts in; None without `model.expert_vectors`.

    Raises:
        ConfigError: as `read_wordllama_table`.
    """
    return read_wordllama_table() if config.expert_vectors else None


def read_wordllama_vectors(words: Sequence[str]) -> FoundVectors:
    """Return wordllama's vectors, of unit length: a word is the mean of the vectors of its pieces.

    Lengths in the table differ eightfold (1st to 99th percentile); what words mean is in the directions.

    Normalized tokens such as `<url>` have no vector.

    Raises:
        ConfigError: as `read_wordllama_table`.
    """
    from tokenizers import Tokenizer

    table, tokenizer_json = read_wordllama_table()
    tokenizer = Tokenizer.from_str(tokenizer_json)
    # Padding would add pieces to short words and move their mean; special tokens, below, would too.
    tokenizer.no_padding()
    tokenizer.no_truncation()
    found = np.array([not (word.startswith("<") and word.endswith(">")) and bool(word.strip()) for word in words])
    matrix = np.zeros((len(words), table.shape[1]), dtype=np.float32)
    wanted = np.flatnonzero(found).tolist()
    for i, encoding in zip(
        wanted, tokenizer.encode_batch([words[i] for i in wanted], add_special_tokens=False), strict=True
    ):
        # (pieces, E) vectors become the (E,) vector of the word.
        matrix[i] = table[encoding.ids].mean(axis=0)
    # Words that were not looked up have zeros: the least divisor keeps them at zero.
    matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-9)
    return FoundVectors(matrix, found)
