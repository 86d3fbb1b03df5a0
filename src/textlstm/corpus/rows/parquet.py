"""Records of Parquet files, column values without loss."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from textlstm.corpus.rows.lines import ReadCounts
from textlstm.corpus.rows.records import Record, Reject, Rows
from textlstm.corpus.rows.settings import ReadSettings, header_problems
from textlstm.corpus.rows.streams import BLOCK_BYTES, file_state
from textlstm.corpus.rows.values import cell_text
from textlstm.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

BATCH_ROWS = 1024
_MOST_BATCH_ROWS = 8192
Classes = Mapping[str, Sequence[str]]
"""The names of each column of class numbers."""


def read_parquet_schema(path: Path, settings: ReadSettings) -> "pa.Schema":
    """Return the Arrow schema of `path`, checked against the settings.

    Raises:
        InputError: not a whole Parquet file, no rows, columns missing or of a type that cannot be text; all of it.
    """
    with _open(path) as file:
        schema, num_rows = file.schema_arrow, file.metadata.num_rows
    problems = header_problems(schema.names, settings, name=str(path))
    if num_rows == 0:
        problems.append(f"{path}: has no data rows.")
    if schema.names.count(settings.columns.text) == 1:
        text_type = schema.field(settings.columns.text).type
        if not is_text(text_type):
            problems.append(
                f"{path}: the column {settings.columns.text!r} is of type {text_type}, not string. "
                f"Store text as strings or set {settings.key_prefix}.text_column."
            )
    if problems:
        raise InputError(*problems)
    return schema


def read_parquet(path: Path, settings: ReadSettings, *, first: int, last: int | None, counts: ReadCounts) -> Rows:
    """Yield rows `first` to `last` (None: the last one); row groups before them are not read.

    Where labels are read, classes that Hugging Face's `datasets` wrote as numbers have their names.
    """
    name = str(path)
    with _open(path) as file:
        classes = class_names(file.schema_arrow) if settings.need_labels else {}
        number, groups = _groups(file, first, last)
        # `number` is the number of rows before the batch; the batch in which `first` lies is cut.
        for batch in file.iter_batches(batch_size=BATCH_ROWS, row_groups=groups):
            end = number + batch.num_rows
            if end >= first:
                skip = max(0, first - number - 1)
                yield from records_of(batch.slice(skip), name, number + skip, counts, classes)
            number = end
            if last is not None and number >= last:
                return


def parquet_batches(path: Path, settings: ReadSettings) -> Iterator[tuple["pa.RecordBatch", Classes]]:
    """Yield all batches of a file, each with the names of the classes of its columns of numbers."""
    with _open(path) as file:
        classes = class_names(file.schema_arrow) if settings.need_labels else {}
        # Batches of about as many bytes as a block of a file of lines has; long texts come in few rows.
        num_bytes = sum(file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups))
        row_bytes = num_bytes // max(file.metadata.num_rows, 1) + 1
        for batch in file.iter_batches(batch_size=min(max(BLOCK_BYTES // row_bytes, 1), _MOST_BATCH_ROWS)):
            yield batch, classes


def _groups(file: "pq.ParquetFile", first: int, last: int | None) -> tuple[int, list[int]]:
    """Return the number of rows before the first row group to read, and the row groups that hold the rows."""
    before, seen = 0, 0
    groups: list[int] = []
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        if seen + size < first:
            before += size
        elif last is None or seen < last:
            groups.append(group)
        seen += size
    return before, groups


def count_parquet_rows(path: Path) -> int:
    """Return the number of rows that the footer of `path` tells.

    Raises:
        InputError: not a whole Parquet file.
    """
    with _open(path) as file:
        return int(file.metadata.num_rows)


def class_names(schema: "pa.Schema") -> dict[str, tuple[str, ...]]:
    """Return the names of each column of class numbers, which `datasets` notes in the metadata of what it writes."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        found = {column: _names_of(feature) for column, feature in features.items()}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}
    return {column: names for column, names in found.items() if names}


def _names_of(feature: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a ClassLabel, or of a list of them; () for other columns."""
    inner = feature.get("feature", feature)
    return tuple(inner["names"]) if isinstance(inner, dict) and inner.get("_type") == "ClassLabel" else ()


def class_name(value: object, names: Sequence[str]) -> object:
    """Return the name of a class number, or of each in a list; None for -1, which stands for no label."""
    if hasattr(value, "as_py"):
        value = value.as_py()
    if isinstance(value, list):
        return [class_name(item, names) for item in value]
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else None


def records_of(batch: "pa.RecordBatch", name: str, number: int, counts: ReadCounts, classes: Classes) -> Rows:
    """Yield the rows of a batch before which the file has `number` rows."""
    columns = tuple(batch.schema.names)
    # Columns of B values become B rows; a value that is not UTF-8 rejects its row only.
    values = [_values(column) for column in batch.columns]
    for place, column in enumerate(columns):
        if column in classes:
            values[place] = [class_name(value, classes[column]) for value in values[place]]
    for row in zip(*values, strict=True):
        number += 1
        counts.rows += 1
        broken = [column for column, value in zip(columns, row, strict=True) if value is _NOT_UTF8]
        if broken:
            counts.rejects += 1
            yield Reject(name, number, -1, f"is not valid utf-8 in column {broken[0]!r}")
        else:
            yield Record(name, number, -1, dict(zip(columns, row, strict=True)))


_NOT_UTF8 = object()


def _values(column: "pa.Array") -> list[object]:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    plain = (
        pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)
    )
    if is_text(kind):
        try:
            return list(column.to_pylist())
        except UnicodeDecodeError:
            # One bad value makes the whole column fail, so each value is tried alone.
            return [_text_or_marker(scalar) for scalar in column]
    if plain:
        return list(column.to_pylist())
    # All other types stay Arrow scalars, so that a Parquet output gets them without loss.
    return [scalar if scalar.is_valid else None for scalar in column]


def _text_or_marker(scalar: "pa.Scalar") -> object:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return _NOT_UTF8


def is_text(kind: "pa.DataType") -> bool:
    """Return whether a column of this type holds texts, or nulls alone."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_null(kind)
    )


@contextmanager
def _open(path: Path) -> Iterator["pq.ParquetFile"]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Missing and empty files and folders are refused here, with messages of their own.
    file_state(path)
    try:
        # PyArrow checks the checksums of pages only if it is asked to.
        with pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: is not a whole Parquet file ({_first_line(error)}). Get a fresh copy.") from error


def _first_line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0].rstrip(".")[:200]


# Writes Parquet: strings, or the columns of a given Arrow schema; with checksums on every page.

ROW_GROUP_ROWS = 20_000
ROW_GROUP_CHARS = 1 << 26
"""A row group ends after this many rows, or after the row with which its strings reach this many characters."""
_COMPRESSION = "zstd"


class ParquetWriter:
    """Rows gathered into row groups; the same rows give the same bytes."""

    def __init__(
        self, stream: BinaryIO, *, columns: Sequence[str] | None = None, schema: "pa.Schema | None" = None
    ) -> None:
        """Take the types from `schema`; with `columns` instead, all are strings."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if schema is None:
            schema = pa.schema([(column, pa.string()) for column in columns or ()])
        self._schema = schema
        self._writer = pq.ParquetWriter(stream, schema, compression=_COMPRESSION, write_page_checksum=True)
        self._names = tuple(schema.names)
        self._is_text = tuple(pa.types.is_string(kind) or pa.types.is_large_string(kind) for kind in schema.types)
        self._rows: list[Mapping[str, object]] = []
        self._num_chars = 0

    def write(self, fields: Mapping[str, object]) -> None:
        """Add one row; columns that `fields` lacks are null."""
        self._rows.append(fields)
        for value in fields.values():
            if isinstance(value, str):
                self._num_chars += len(value)
        if len(self._rows) == ROW_GROUP_ROWS or self._num_chars >= ROW_GROUP_CHARS:
            self._flush()

    def close(self) -> None:
        """Write what is gathered, and the footer."""
        if self._rows:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa

        arrays = []
        for name, kind, is_text in zip(self._names, self._schema.types, self._is_text, strict=True):
            values = [row.get(name) for row in self._rows]
            if is_text:
                values = [value if value is None or isinstance(value, str) else cell_text(value) for value in values]
            elif pa.types.is_dictionary(kind):
                arrays.append(pa.array(values, kind.value_type).dictionary_encode().cast(kind))
                continue
            arrays.append(pa.array(values, kind))
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        self._rows, self._num_chars = [], 0


def with_columns(schema: "pa.Schema", added: Mapping[str, type]) -> "pa.Schema":
    """Return `schema` with columns appended, of type str, float, int or bool, or list for lists of strings."""
    import pyarrow as pa

    kinds = {str: pa.string(), float: pa.float64(), int: pa.int64(), bool: pa.bool_(), list: pa.list_(pa.string())}
    for name, kind in added.items():
        schema = schema.append(pa.field(name, kinds[kind]))
    return schema
