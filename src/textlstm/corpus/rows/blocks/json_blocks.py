"""JSONL by blocks: Arrow parses many lines at once, and odd lines are read one by one.

Arrow is as strict as `values.parse_object` about keys that occur twice, control characters and half surrogates. What it
would take and the reader of single rows refuses is looked for in the bytes: NUL, invalid UTF-8, NaN, long numbers.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from textlstm.corpus.rows.blocks.row_block import RowBlock, mark_not_utf8, other_rows, wanted_columns
from textlstm.corpus.rows.json_lines import is_blank, json_row, read_first_keys
from textlstm.corpus.rows.lines import LineBlock, LineInput
from textlstm.corpus.rows.records import Record, Reject
from textlstm.corpus.rows.values import MAX_NESTING, MAX_NUMBER_CHARS

_LEAST_LINES = 16
"""So few lines that Arrow cannot parse are read one by one; more are parsed in halves."""
_NUL = b"\\u0000"
_ODD_NUMBER = re.compile(rb"[:,\[]\s*-?(?:NaN|Inf)|[-+.eE0-9]{%d}" % (MAX_NUMBER_CHARS + 1))
_NEGATIVE_ZERO = re.compile(rb"[:,\[]\s*-0\s*[,}\]]")
_OPEN, _CLOSE, _OPEN_LIST, _RETURN, _FEED = b"{}[\r\n"


def read_json_blocks(source: LineInput) -> Iterator[RowBlock]:
    """Yield the rows of a JSONL file in UTF-8 that can be opened more than once.

    Raises:
        InputError: as `read_jsonl`.
    """
    read_first_keys(source)  # refuses a file without the required columns
    reader = _JsonBlocks(source)
    with source.line_blocks() as blocks:
        for block in blocks:
            yield from reader.read(block)


@dataclass(frozen=True, slots=True)
class _Lines:
    """The L lines of a block."""

    data: bytes
    offset: int
    """Of the block in the file."""
    starts: npt.NDArray[np.int64]
    """(L,) places in `data`."""
    ends: npt.NDArray[np.int64]
    """(L,) places after the last byte, line feeds left out."""
    numbers: npt.NDArray[np.int64]
    """(L,) row numbers; 0 for a blank line, which is no row."""
    is_usual: npt.NDArray[np.bool_]
    """(L,) which lines Arrow may parse."""

    def line(self, place: int) -> bytes:
        """Return the bytes of a line."""
        return self.data[self.starts[place] : self.ends[place]]


class _JsonBlocks:
    """Reads block after block of one file."""

    def __init__(self, source: LineInput) -> None:
        self._name = source.name
        self._has_offsets = source.has_offsets
        self._wanted = wanted_columns(source.settings)
        columns = source.settings.columns
        text = pa.field(columns.text, pa.string())
        label = pa.field(columns.labels or columns.label, pa.list_(pa.string()) if columns.labels else pa.string())
        ids = [pa.field(columns.id, pa.string())] if columns.id else []
        # Labels and ids are mostly strings; where they are not, Arrow says of which type they are.
        choices = ([text, label, *ids], [text, *ids], [text, label], [text])
        self._schemas = [pa.schema({field.name: field for field in fields}.values()) for fields in choices]
        self._num_rows = 0

    def read(self, block: LineBlock) -> Iterator[RowBlock]:
        """Yield the rows of a block."""
        lines = self._lines(block)
        yield from self._read(lines, 0, len(lines.starts))

    def _lines(self, block: LineBlock) -> _Lines:
        data = block.data
        values = np.frombuffer(data, np.uint8)
        ends = np.flatnonzero(values == _FEED)
        if not data.endswith(b"\n"):
            ends = np.append(ends, len(data))
        starts = np.concatenate([[0], ends[:-1] + 1]).astype(np.int64)
        sizes = ends - starts
        # A usual line is `{...}`, also before CR LF: where `{` follows `}`, Arrow can only be between two rows.
        last = values[np.maximum(ends - 1, 0)]
        last = np.where(last == _RETURN, values[np.maximum(ends - 2, 0)], last)
        is_usual = (sizes > 2) & (values[np.minimum(starts, len(data) - 1)] == _OPEN) & (last == _CLOSE)
        # A line with few brackets is not nested too deep, also not for Arrow, which has no limit of its own.
        brackets = np.searchsorted(np.flatnonzero((values == _OPEN) | (values == _OPEN_LIST)), (starts, ends))
        is_usual &= brackets[1] - brackets[0] <= MAX_NESTING
        self._mark(data, ends, is_usual)
        # Blank lines are no rows; they are looked for among the few lines that are not usual.
        is_row = np.ones(len(ends), np.bool_)
        for place in np.flatnonzero(~is_usual).tolist():
            is_row[place] = not is_blank(data[starts[place] : ends[place]])
        numbers = np.where(is_row, self._num_rows + np.cumsum(is_row), 0)
        self._num_rows += int(is_row.sum())
        return _Lines(data, block.offset, starts, ends, numbers, is_usual)

    def _mark(self, data: bytes, ends: npt.NDArray[np.int64], is_usual: npt.NDArray[np.bool_]) -> None:
        """Set `is_usual` to False for lines with a NUL or bytes that are no UTF-8."""
        place = data.find(_NUL)
        while place >= 0:
            is_usual[np.searchsorted(ends, place)] = False
            place = data.find(_NUL, place + 1)
        mark_not_utf8(data, ends, is_usual)

    def _read(self, lines: _Lines, first: int, last: int) -> Iterator[RowBlock]:
        """Yield the rows of the lines `first` to `last - 1`."""
        usual = first + np.flatnonzero(lines.is_usual[first:last])
        columns = self._parse(lines, usual) if len(usual) > _LEAST_LINES else None
        if columns is None and last - first > _LEAST_LINES:
            # Arrow does not say which line it stumbled over: each half by itself.
            middle = (first + last) // 2
            yield from self._read(lines, first, middle)
            yield from self._read(lines, middle, last)
            return
        if columns is None:
            rows = tuple(self._row(lines, place) for place in range(first, last) if lines.numbers[place])
            yield other_rows(self._name, rows)
            return
        others = first + np.flatnonzero(~lines.is_usual[first:last] & (lines.numbers[first:last] > 0))
        yield RowBlock(
            self._name,
            lines.numbers[usual],
            columns,
            lambda place: self._row(lines, int(usual[place])),
            tuple(self._row(lines, place) for place in others.tolist()),
        )

    def _row(self, lines: _Lines, place: int) -> Record | Reject:
        return json_row(
            lines.line(place),
            file=self._name,
            number=int(lines.numbers[place]),
            offset=lines.offset + int(lines.starts[place]),
            encoding="utf-8",
            has_offsets=self._has_offsets,
        )

    def _parse(self, lines: _Lines, usual: npt.NDArray[np.int64]) -> dict[str, pa.Array] | None:
        """Return the wanted columns of the usual lines; None where the lines must be read otherwise."""
        first, last = int(usual[0]), int(usual[-1])
        if len(usual) == last - first + 1:
            data: bytes | memoryview = memoryview(lines.data)[lines.starts[first] : lines.ends[last]]
        else:
            data = b"\n".join([lines.line(place) for place in usual.tolist()])
        for schema in self._schemas:
            table = _parsed(data, schema)
            if table is not None and table.num_rows == len(usual) and not self._is_odd(table, data):
                # What suits this block is tried first in the next.
                self._schemas.sort(key=schema.__ne__)
                return {name: _one_array(table.column(name)) for name in self._wanted if name in table.column_names}
        return None

    def _is_odd(self, table: pa.Table, data: bytes | memoryview) -> bool:
        kinds = [kind for kind in table.schema.types if not pa.types.is_string(kind)]
        inner = [leaf for kind in kinds for leaf in _leaves(kind)]
        if any(map(pa.types.is_floating, inner)) and _ODD_NUMBER.search(data):
            return True
        # The integer 0 may stand for -0, which is another label.
        return any(map(pa.types.is_integer, inner)) and _NEGATIVE_ZERO.search(data) is not None


def _parsed(data: bytes | memoryview, schema: pa.Schema) -> pa.Table | None:
    from pyarrow import json

    try:
        return json.read_json(
            pa.BufferReader(pa.py_buffer(data)),
            read_options=json.ReadOptions(use_threads=False, block_size=len(data) + 1),
            parse_options=json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer"),
        )
    except (pa.ArrowException, UnicodeDecodeError):
        return None


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _children(kind: pa.DataType) -> Sequence[pa.DataType]:
    return [kind.field(place).type for place in range(kind.num_fields)]


def _leaves(kind: pa.DataType) -> list[pa.DataType]:
    children = _children(kind)
    return [leaf for child in children for leaf in _leaves(child)] if children else [kind]
