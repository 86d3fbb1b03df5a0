"""Sources of word vectors: files and installed packages.

Files are GloVe, word2vec (text and binary) and fastText .vec, plain or gzipped, read as a stream. Packages are a spaCy
model with vectors, and wordllama with its static token table.
"""

import gzip
import importlib.metadata
import math
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import numpy as np

from textlstm.config import ModelConfig
from textlstm.errors import ConfigError, InputError
from textlstm.models.linear.mean_vectors import PieceVectors
from textlstm.text.spacy_models import open_vectors

# What every source of vectors returns.


class FoundVectors(NamedTuple):
    """The vectors of one source for the words asked for."""

    vectors: np.ndarray
    """(N, dimensions) float32; zeros where nothing was found."""
    found: np.ndarray
    """(N,) bool."""


def spellings(word: str) -> tuple[str, ...]:
    """Return the forms under which a lower-cased word may be filed, best first: as it is, lower, Capital, UPPER."""
    return tuple(dict.fromkeys((word, word.lower(), word.capitalize(), word.upper())))


_MAX_PROBLEMS = 20
_LONGEST_WORD = 4_096


class _Wanted:
    """The vectors found so far; a word takes the best of the spellings that the file has."""

    def __init__(self, words: Sequence[str], size: int) -> None:
        self.places: dict[bytes, list[tuple[int, int]]] = {}
        # Several words may look for one spelling: a row of the file can serve all of them.
        for i, word in enumerate(words):
            for rank, spelling in enumerate(spellings(word)):
                self.places.setdefault(spelling.encode("utf-8", "surrogatepass"), []).append((i, rank))
        self.vectors = np.zeros((len(words), size), dtype=np.float32)
        # 99 is worse than the rank of any spelling and means that nothing was found.
        self.ranks = np.full(len(words), 99)

    def put(self, word: bytes, vector: np.ndarray) -> None:
        """Take `vector` for every word that has no better spelling yet; the first of equal ones in the file stays."""
        for i, rank in self.places[word]:
            if rank < self.ranks[i]:
                self.vectors[i], self.ranks[i] = vector, rank

    def result(self) -> FoundVectors:
        return FoundVectors(self.vectors, self.ranks < 99)


def read_vector_file(path: Path, words: Sequence[str]) -> FoundVectors:
    """Return the vectors of `words` in a file; names ending in .bin (or .bin.gz) are word2vec binary, others text.

    Raises:
        InputError: the file is missing or damaged; every problem is named with its row.
    """
    try:
        with _open(path) as stream:
            if path.name.removesuffix(".gz").endswith(".bin"):
                return _read_binary(path, stream, words)
            return _read_text(path, stream, words)
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read as word vectors ({error}). Check model.embeddings.") from error


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _read_text(path: Path, stream: BinaryIO, words: Sequence[str]) -> FoundVectors:
    """Read lines `word number ... number`, with or without a first line `rows dimensions`."""
    # The first line is a header of two counts, or already a row, whose parts tell the dimensions.
    first = stream.readline()
    header = first.split()
    has_header = len(header) == 2 and all(part.isdigit() for part in header)
    size = int(header[1]) if has_header else len(header) - 1
    if size < 1:
        raise InputError(f"{path}:1: expected a word and its numbers, or the counts of rows and dimensions")
    wanted = _Wanted(words, size)
    problems: list[str] = []
    lines: Iterator[bytes] = stream if has_header else chain([first], stream)
    # One pass over the stream: only rows of wanted words become arrays, so memory does not grow with the file.
    for row, line in enumerate(lines, start=2 if has_header else 1):
        parts = line.rstrip().split(b" ")
        word = b" ".join(parts[:-size])  # some GloVe words hold spaces
        if len(parts) <= size:
            problems.append(f"{path}:{row}: expected a word and {size} numbers, found {len(parts)} parts")
        elif word in wanted.places:
            try:
                vector = np.array(parts[-size:], dtype=np.float32)
            except ValueError:
                # Text that is not a number is reported like nan and inf, below.
                vector = np.full(size, math.nan)
            if np.isfinite(vector).all():
                wanted.put(word, vector)
            else:
                problems.append(f"{path}:{row}: a vector holds something that is not a finite number")
        if len(problems) == _MAX_PROBLEMS:
            break
    if problems:
        raise InputError(*problems)
    return wanted.result()


def _read_binary(path: Path, stream: BinaryIO, words: Sequence[str]) -> FoundVectors:
    """Read word2vec's binary layout: a line `rows dimensions`, then word, space, float32 numbers for each row."""
    # At most 100 bytes: a binary file without a header may have no line break for a long time.
    header = stream.readline(100).split()
    if len(header) != 2 or not all(part.isdigit() for part in header) or int(header[1]) == 0:
        raise InputError(f"{path}:1: expected the counts of rows and dimensions. A text file must not be named .bin")
    num_rows, size = int(header[0]), int(header[1])
    wanted = _Wanted(words, size)
    for row in range(1, num_rows + 1):
        # Rows have no end mark: after a damaged row all later ones are out of step, so the first fault is raised at
        # once.
        word = _read_word(stream)
        numbers = stream.read(4 * size)
        if word is None or len(numbers) < 4 * size:
            raise InputError(f"{path}:{row}: the file ends inside this row; its first line promises {num_rows} rows")
        if word in wanted.places:
            vector = np.frombuffer(numbers, dtype="<f4")
            if not np.isfinite(vector).all():
                raise InputError(f"{path}:{row}: a vector holds something that is not a finite number")
            wanted.put(word, vector)
    return wanted.result()


def _read_word(stream: BinaryIO) -> bytes | None:
    """Return the bytes before the next space, or None when there is none; some writers end a row with a line feed."""
    word = bytearray()
    while len(word) < _LONGEST_WORD:
        byte = stream.read(1)
        if byte == b" ":
            return bytes(word).lstrip(b"\n")
        if not byte:
            return None
        word += byte
    return None


# Vectors inside installed packages: a spaCy model's, and wordllama's static token table.

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
