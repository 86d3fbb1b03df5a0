"""Vector files: GloVe, word2vec (text and binary) and fastText .vec, plain or gzipped, read as a stream."""

import gzip
import math
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from textlstm.embeddings.found import FoundVectors, spellings
from textlstm.errors import InputError

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
