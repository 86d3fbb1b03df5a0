"""How files are read: format, encoding, limits, and the columns that count."""

import codecs
import difflib
import encodings.aliases
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from textlstm.config import DataConfig, FileFormat, LabellingConfig
from textlstm.corpus.rows.probabilities import is_pattern, label_columns
from textlstm.errors import InputError

# Text encodings: which names exist, and which can be cut into lines before they are decoded.

_STATEFUL = ("utf-7", "hz", "iso2022", "utf-16", "utf-32", "cp037", "raw_unicode", "unicode_escape", "idna", "punycode")


def encoding_name(name: str, *, key_prefix: str = "data") -> str:
    """Return Python's own name of the encoding `name`; `utf-8-sig` is `utf-8`, since a BOM is always stripped.

    Raises:
        InputError: there is no such text encoding.
    """
    try:
        info = codecs.lookup(name)
        # `codecs.lookup` also finds codecs that are no text encodings, such as base64; to encode with one fails.
        "".encode(info.name)
    except (LookupError, ValueError):
        texts = [alias for alias, codec in encodings.aliases.aliases.items() if not codec.endswith("_codec")]
        known = sorted({alias.replace("_", "-") for alias in texts} - {name} | {"utf-8", "utf-16", "utf-32"})
        near = difflib.get_close_matches(name.lower().replace("_", "-"), known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "; 'utf-8', 'cp1252' and 'utf-16' are usual ones."
        raise InputError(f"{key_prefix}.encoding: there is no text encoding {name!r}{hint}") from None
    return "utf-8" if info.name == "utf-8-sig" else info.name


def keeps_ascii(encoding: str) -> bool:
    """Return whether ASCII bytes stand for themselves, so that rows can be cut at line feeds before decoding."""
    # Some of these pass the test below, but give ASCII bytes another meaning after an escape sequence.
    if encoding.startswith(_STATEFUL):
        return False
    ascii_bytes = bytes(range(128))
    try:
        return ascii_bytes.decode(encoding) == ascii_bytes.decode("ascii")
    except UnicodeDecodeError:
        return False


# Which format and compression a file has, told by its name.

STDIN = Path("-")
"""Stands for standard input."""

ROW_SUFFIXES = {
    ".csv": FileFormat.csv,
    ".tsv": FileFormat.tsv,
    ".tab": FileFormat.tsv,
    ".jsonl": FileFormat.jsonl,
    ".ndjson": FileFormat.jsonl,
    ".parquet": FileFormat.parquet,
    ".xlsx": FileFormat.xlsx,
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


_READ_ALSO = {".json": FileFormat.jsonl}
"""Endings of files that are read and never written: an array of rows, or one a line, as its first byte tells."""


def kind_by_name(
    path: Path, *, format: FileFormat = FileFormat.auto, key_prefix: str = "data", is_read: bool = False
) -> FileKind:
    """Return format and compression by the name of `path`; a `format` other than auto overrides the name.

    A file that `is_read` may have an ending that is not written.

    Raises:
        InputError: the name tells no format, or tells one that cannot be (packed Parquet).
    """
    suffix = path.suffix.lower()
    compression = _PACKED_SUFFIXES.get(suffix, Compression.none)
    # In `rows.csv.gz` the ending before the last tells the format.
    inner = Path(path.stem).suffix.lower() if compression is not Compression.none else suffix
    suffixes = ROW_SUFFIXES | (_READ_ALSO if is_read else {})
    if format is FileFormat.auto:
        if path == STDIN:
            raise InputError(f"-: standard input has no name to tell its format. Set {key_prefix}.format.")
        if inner not in suffixes:
            raise InputError(
                f"{path}: the name tells no format; known endings are {', '.join(suffixes)}, "
                f"each also with .gz or .zst. Rename it or set {key_prefix}.format."
            )
        format = suffixes[inner]
    if compression is not Compression.none:
        if format is FileFormat.parquet:
            raise InputError(f"{path}: packed Parquet is not read; Parquet compresses its columns itself. Unpack it.")
        if format is FileFormat.xlsx:
            raise InputError(f"{path}: a packed workbook is not read; workbooks are packed already. Unpack it.")
    return FileKind(format, compression)


def has_row_suffix(path: Path, *, is_read: bool = False) -> bool:
    """Return whether the name of `path` tells a format; a file that `is_read` may have an ending more."""
    inner = Path(path.stem) if path.suffix.lower() in _PACKED_SUFFIXES else path
    return inner.suffix.lower() in ROW_SUFFIXES or (is_read and inner.suffix.lower() in _READ_ALSO)


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """Which columns hold the text, the label or labels, and the id."""

    text: str = "text"
    label: str = "label"
    labels: str = ""
    """Column with several labels; not empty means multi-label, and `label` is not read."""
    label_separator: str = ""
    """Separator of labels inside a text cell; empty: the cell is a JSON list."""
    id: str = ""
    """Column with a unique id; empty: the row number is the id."""
    weight: str = ""
    """Column with the weight of a row; empty: all rows weigh alike."""
    probabilities: str = ""
    """Column with the probability of each label, or a pattern with a * for one column a label; empty: labels are
    sure."""

    @property
    def is_multi_label(self) -> bool:
        """Whether rows may have any number of labels."""
        return bool(self.labels)


def delimiter_of(setting: str) -> str:
    """Return the character that `data.delimiter` or `labelling.delimiter` names; empty where it names none."""
    return "\t" if setting == "tab" else setting


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """All that decides which records a file yields."""

    format: FileFormat = FileFormat.auto
    encoding: str = "utf-8"
    delimiter: str = ""
    """Character between cells; empty: as name and header of a file say."""
    columns: ColumnNames = field(default_factory=ColumnNames)
    need_labels: bool = False
    """Refuse files without the label column, and rows without a label."""
    max_chars: int = 1_000_000
    """Longer texts are rejected, in characters."""
    max_reject_fraction: float = 0.01
    """More rejected rows than this part of a file refuse the file."""
    max_expansion: int = 200
    """Largest ratio of unpacked to packed size of a compressed file."""
    key_prefix: str = "data"
    """Group of settings that error messages name, as in `Set data.text_column.`"""

    @classmethod
    def for_data(cls, config: DataConfig, *, to_learn: bool = False) -> "ReadSettings":
        """Return the settings of labelled data (stages prepare, train, evaluate).

        Rows `to_learn` from have weights and probabilities, where settings name columns of them.
        """
        return cls(
            format=config.format,
            encoding=config.encoding,
            delimiter=delimiter_of(config.delimiter),
            columns=ColumnNames(
                text=config.text_column,
                label=config.label_column,
                labels=config.labels_column,
                label_separator=config.label_separator,
                id=config.id_column,
                weight=config.weight_column if to_learn else "",
                probabilities=config.probabilities_column if to_learn else "",
            ),
            need_labels=True,
            max_chars=config.max_chars,
            max_reject_fraction=config.max_reject_fraction,
            max_expansion=config.max_expansion,
        )

    @classmethod
    def for_labelling(cls, config: LabellingConfig, *, text_column: str, id_column: str = "") -> "ReadSettings":
        """Return the settings of rows to label; `text_column` is the setting, or the model's where that is empty."""
        return cls(
            format=config.format,
            encoding=config.encoding,
            delimiter=delimiter_of(config.delimiter),
            columns=ColumnNames(text=config.text_column or text_column, id=id_column),
            max_chars=config.max_chars,
            max_reject_fraction=config.max_reject_fraction,
            key_prefix="labelling",
        )

    def required_columns(self) -> dict[str, str]:
        """Return the columns a file must have, each with the setting that names it."""
        columns, prefix = self.columns, self.key_prefix
        required = {columns.text: f"{prefix}.text_column"}
        if columns.probabilities:
            # Where labels come from probabilities, a label column need not be there.
            if not is_pattern(columns.probabilities):
                required[columns.probabilities] = f"{prefix}.probabilities_column"
        elif self.need_labels:
            if columns.is_multi_label:
                required[columns.labels] = f"{prefix}.labels_column"
            else:
                required[columns.label] = f"{prefix}.label_column"
        if columns.id:
            required[columns.id] = f"{prefix}.id_column"
        if columns.weight:
            required[columns.weight] = f"{prefix}.weight_column"
        return required


# Checks of a file's columns against the settings that name columns.


def header_problems(columns: Sequence[str], settings: ReadSettings, *, name: str) -> list[str]:
    """Return what is wrong with the columns of file `name`: duplicates, and required ones that are missing."""
    problems = []
    seen: dict[str, int] = {}
    for position, column in enumerate(columns, 1):
        if column in seen:
            problems.append(
                f"{name}: the header has the column {column!r} twice, as fields {seen[column]} and {position}. "
                "Rename one."
            )
        seen.setdefault(column, position)
    for column, key in settings.required_columns().items():
        if column not in seen:
            problems.append(missing_column(column, columns, key=key, name=name))
    pattern = settings.columns.probabilities
    if is_pattern(pattern) and not label_columns(columns, pattern):
        problems.append(missing_column(pattern, columns, key=f"{settings.key_prefix}.probabilities_column", name=name))
    return problems


def missing_column(column: str, columns: Sequence[str], *, key: str, name: str) -> str:
    """Return the message for a column that file `name` does not have, with the nearest name there is."""
    near = _nearest(column, columns)
    hint = f"did you mean {near!r}? The" if near is not None else "the"
    listed = ", ".join(repr(other[:60]) for other in columns[:20])
    more = f" and {len(columns) - 20} more" if len(columns) > 20 else ""
    return f"{name}: no column {column!r}; {hint} columns are {listed}{more}. Set {key}."


def _nearest(column: str, columns: Sequence[str]) -> str | None:
    # First a name that differs in case, outer space or a BOM only, then one of similar spelling.
    plain = {other.strip("\ufeff\u200b \t").casefold(): other for other in columns}
    same = plain.get(column.strip().casefold())
    if same is not None:
        return same
    close = difflib.get_close_matches(column.casefold(), plain, n=1, cutoff=0.75)
    return plain[close[0]] if close else None
