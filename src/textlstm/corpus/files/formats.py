"""Which format and compression a file has, told by its name."""

from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from textlstm.config import FileFormat
from textlstm.errors import InputError

STDIN = Path("-")
"""Stands for standard input."""

ROW_SUFFIXES = {
    ".csv": FileFormat.csv,
    ".tsv": FileFormat.tsv,
    ".tab": FileFormat.tsv,
    ".jsonl": FileFormat.jsonl,
    ".ndjson": FileFormat.jsonl,
    ".parquet": FileFormat.parquet,
    ".txt": FileFormat.text,
}


class Compression(StrEnum):
    """How a file is packed."""

    none = "none"
    gzip = "gzip"
    zstd = "zstd"


_PACKED_SUFFIXES = {".gz": Compression.gzip, ".zst": Compression.zstd}


class FileKind(NamedTuple):
    """Format and compression of one file."""

    format: FileFormat
    compression: Compression


def kind_by_name(path: Path, *, format: FileFormat = FileFormat.auto, key_prefix: str = "data") -> FileKind:
    """Return what `path` is by its name; a `format` that is not auto wins over the name.

    Raises:
        InputError: the name tells no format, or tells one that cannot be (packed Parquet).
    """
    suffix = path.suffix.lower()
    compression = _PACKED_SUFFIXES.get(suffix, Compression.none)
    inner = Path(path.stem).suffix.lower() if compression is not Compression.none else suffix
    if format is FileFormat.auto:
        if path == STDIN:
            raise InputError(f"-: standard input has no name to tell its format. Set {key_prefix}.format.")
        if inner not in ROW_SUFFIXES:
            raise InputError(
                f"{path}: the name tells no format; known endings are {', '.join(ROW_SUFFIXES)}, "
                f"each also with .gz or .zst. Rename it or set {key_prefix}.format."
            )
        format = ROW_SUFFIXES[inner]
    if format is FileFormat.parquet and compression is not Compression.none:
        raise InputError(f"{path}: packed Parquet is not read; Parquet compresses its columns itself. Unpack it.")
    return FileKind(format, compression)


def has_row_suffix(path: Path) -> bool:
    """Return whether the name of `path` tells a format."""
    inner = Path(path.stem) if path.suffix.lower() in _PACKED_SUFFIXES else path
    return inner.suffix.lower() in ROW_SUFFIXES
