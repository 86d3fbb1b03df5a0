"""Records of JSONL files (one object a line) and of plain text files (one text a line)."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import BinaryIO

from textlstm.corpus.rows.delimited import bad_bytes
from textlstm.corpus.rows.lines import BOM, LineInput, ReadCounts, RowStart
from textlstm.corpus.rows.records import Record, Reject, Rows
from textlstm.corpus.rows.settings import header_problems
from textlstm.corpus.rows.values import JsonRowError, cell_text, dump_object, parse_object, plain_value
from textlstm.errors import InputError

_FIRST_ROWS = 100
"""Rows of a JSONL file that tell which columns it has,"""
_FIRST_BYTES = 1 << 20
"""or as many as stand in its first bytes."""


def read_jsonl(source: LineInput, *, start: RowStart | None, counts: ReadCounts) -> Rows:
    """Yield the rows of a JSONL file, all or from `start` on; blank lines are counted and are no rows.

    Raises:
        InputError: none of the first rows has a required column.
    """
    rows = _json_rows(source, start=start, counts=counts)
    with closing(rows):
        if start is None:  # the first rows are looked at before they go out, since a pipe cannot be opened twice
            first = _first_rows(rows)
            columns = keys_of(first)
            problems = header_problems(columns, source.settings, name=source.name) if columns else []
            if problems:
                raise InputError(*problems)
            yield from first
        yield from rows


def keys_of(rows: Iterable[Record | Reject]) -> tuple[str, ...]:
    """Return the keys of all records in `rows`, in order of appearance."""
    keys: dict[str, None] = {}
    for row in rows:
        if isinstance(row, Record):
            keys.update(dict.fromkeys(row.fields))
    return tuple(keys)


def read_first_keys(source: LineInput) -> tuple[str, ...]:
    """Return the keys of the first rows of a JSONL file together; empty where none of them can be read.

    Raises:
        InputError: none of these rows has a required column.
    """
    with closing(read_jsonl(source, start=None, counts=ReadCounts())) as rows:
        return keys_of(_first_rows(rows))


def _first_rows(rows: Rows) -> list[Record | Reject]:
    first: list[Record | Reject] = []
    for row in rows:
        first.append(row)
        if len(first) == _FIRST_ROWS or row.offset - first[0].offset > _FIRST_BYTES:
            break
    return first


def _json_rows(source: LineInput, *, start: RowStart | None, counts: ReadCounts) -> Rows:
    name, encoding, has_offsets = source.name, source.encoding, source.has_offsets
    first = start or RowStart(1, 0)
    number = first.number - 1
    with source.lines(first.offset) as lines:
        for offset, data in lines:
            if is_blank(data):
                counts.blank_lines += 1
                continue
            # Blank lines have no number, so that rows are counted apart from lines.
            number += 1
            counts.rows += 1
            row = json_row(data, file=name, number=number, offset=offset, encoding=encoding, has_offsets=has_offsets)
            counts.rejects += isinstance(row, Reject)
            yield row


def json_row(line: bytes, *, file: str, number: int, offset: int, encoding: str, has_offsets: bool) -> Record | Reject:
    """Return the row of a line that is not blank; without `has_offsets`, the row has no offset."""
    where = offset if has_offsets else -1
    try:
        return Record(file, number, where, parse_object(line.decode(encoding)))
    except UnicodeDecodeError as error:
        return Reject(file, number, where, bad_bytes(error, encoding, offset))
    except JsonRowError as error:
        return Reject(file, number, where, str(error))


def read_text(source: LineInput, *, start: RowStart | None, counts: ReadCounts) -> Rows:
    """Yield the lines of a text file, all or from `start` on, each as a record with the text column alone."""
    name, encoding, has_offsets = source.name, source.encoding, source.has_offsets
    column = source.settings.columns.text
    first = start or RowStart(1, 0)
    with source.lines(first.offset) as lines:
        for number, (offset, data) in enumerate(lines, first.number):
            # A blank line is a row here, with an empty text.
            counts.rows += 1
            where = offset if has_offsets else -1
            try:
                text = data.decode(encoding).removesuffix("\r")
            except UnicodeDecodeError as error:
                reason = bad_bytes(error, encoding, offset)
            else:
                if "\0" not in text:
                    yield Record(name, number, where, {column: text})
                    continue
                reason = "holds a NUL byte"
            counts.rejects += 1
            yield Reject(name, number, where, reason)


def is_blank(line: bytes) -> bool:
    """Return whether a JSONL line is blank and so no row."""
    return not line or line.isspace()


# Writes JSONL (one object a line) and plain text (one text a line).


class JsonlWriter:
    """One JSON object a line, UTF-8 unescaped; numbers that were read keep their source text."""

    def __init__(self, stream: BinaryIO, *, columns: Sequence[str] | None = None) -> None:
        """With `columns`, every row has these keys in this order; without, each has its own."""
        self._stream = stream
        self._columns = None if columns is None else tuple(columns)

    def write(self, fields: Mapping[str, object]) -> None:
        """Write one row."""
        if self._columns is not None:
            fields = {column: fields.get(column) for column in self._columns}
        try:
            line = dump_object(fields)
        except (TypeError, ValueError):  # Arrow scalars, NaN
            line = dump_object({key: plain_value(value) for key, value in fields.items()})
        self._stream.write(line.encode("utf-8") + b"\n")

    def close(self) -> None:
        """Nothing is buffered."""


class TextWriter:
    """One text a line: the one column, nothing else."""

    def __init__(self, stream: BinaryIO, *, columns: Sequence[str]) -> None:
        """Write the first of `columns`.

        Raises:
            InputError: there are other columns.
        """
        if len(columns) != 1:
            raise InputError(f"plain text holds one column, not {len(columns)}. Write .csv, .tsv, .jsonl or .parquet.")
        self._stream = stream
        self._column = columns[0]
        self._at_start = True

    def write(self, fields: Mapping[str, object]) -> None:
        """Write one row.

        Raises:
            InputError: the text holds a line feed or ends in a carriage return, which a line cannot.
        """
        text = cell_text(fields[self._column])
        if "\n" in text or text.endswith("\r"):
            raise InputError("a text with a line break cannot stand in plain text. Write .csv, .tsv or .jsonl.")
        if self._at_start and text.startswith("\ufeff"):
            self._stream.write(BOM)  # the reader strips one
        self._at_start = False
        self._stream.write(text.encode("utf-8") + b"\n")

    def close(self) -> None:
        """Nothing is buffered."""
