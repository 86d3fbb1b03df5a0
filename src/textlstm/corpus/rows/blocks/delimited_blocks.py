"""CSV and TSV by blocks: Arrow cuts well-formed rows into cells, and odd rows are read one by one.

A block is well-formed where every quoted cell begins after a delimiter or a line feed and ends before one; then quotes
open and close in turn, and a delimiter or line feed counts where an even number of quotes precedes it. A block without
a cell that begins with a quote has no quoted cells at all: its quotes are text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from textlstm.corpus.rows.blocks.row_block import RowBlock, mark_not_utf8, other_rows, wanted_columns
from textlstm.corpus.rows.delimited import DelimitedSyntax, RawRow, delimited_row, take_header
from textlstm.corpus.rows.lines import BOM, MAX_ROW_BYTES, Line, LineBlock, LineInput, ReadCounts
from textlstm.corpus.rows.records import Record, Reject
from textlstm.errors import InputError

_QUOTE, _FEED, _RETURN = b'"\n\r'


def read_delimited_blocks(source: LineInput) -> Iterator[RowBlock]:
    """Yield the rows of a CSV or TSV file in UTF-8 that can be opened more than once.

    Raises:
        InputError: as `read_delimited`.
    """
    with source.lines() as lines:
        header = take_header(lines, source)
        first = next(lines, None)
    if first is None:
        return
    reader = _DelimitedBlocks(source, header.columns, header.syntax)
    with source.line_blocks(first.offset) as blocks:
        for block in blocks:
            yield from reader.read(block)
    yield from reader.end()


@dataclass(frozen=True, slots=True)
class _Cut:
    """Whole rows of a block that Arrow may cut into cells."""

    data: bytes
    starts: npt.NDArray[np.int64]
    """(N,) places in `data` where rows begin, blank lines left out."""
    ends: npt.NDArray[np.int64]
    """(N,) places of their line feeds."""
    is_usual: npt.NDArray[np.bool_]
    """(N,) which rows have as many cells as the header."""
    has_quotes: bool
    """Whether quotes are more than text."""


class _DelimitedBlocks:
    """Reads block after block of one file."""

    def __init__(self, source: LineInput, columns: Sequence[str], syntax: DelimitedSyntax) -> None:
        self._name = source.name
        self._has_offsets = source.has_offsets
        self._columns = tuple(columns)
        self._syntax = syntax
        self._wanted = [name for name in wanted_columns(source.settings) if name in columns]
        self._num_rows = 0
        self._rest = b""
        """Bytes of a row that the next block goes on with."""
        self._offset = -1
        """Where `_rest` begins in the file."""

    def read(self, block: LineBlock) -> Iterator[RowBlock]:
        """Yield the whole rows of what is left from the block before and of this block."""
        if not self._rest:
            self._offset = block.offset
        data = self._rest + block.data
        # Only the last line of a file may lack its line feed.
        if not data.endswith(b"\n"):
            data += b"\n"
        cut = _cut(data, self._syntax.delimiter, width=len(self._columns))
        if cut is None:
            yield from self._one_by_one(data, is_last=False)
            return
        size = len(cut.data)
        if len(cut.starts):
            yield from self._parsed(cut)
        self._rest, self._offset = data[size:], self._offset + size
        if len(self._rest) > MAX_ROW_BYTES:
            yield from self._one_by_one(self._rest, is_last=True)

    def end(self) -> Iterator[RowBlock]:
        """Yield the rows of what is left at the end of the file.

        Raises:
            InputError: a quote is never closed.
        """
        if self._rest:
            yield from self._one_by_one(self._rest, is_last=True)

    def _one_by_one(self, data: bytes, *, is_last: bool) -> Iterator[RowBlock]:
        """Yield the rows of `data` as the reader of single rows finds them, up to one that goes on in the next block.

        Raises:
            InputError: a quote is open, and no block can close it.
        """
        rows: list[Record | Reject] = []
        size = 0
        lines = _lines_of(data, self._offset)
        try:
            for raw in self._syntax.read_rows(lines, name=self._name, number=self._num_rows + 1, blank=ReadCounts()):
                self._num_rows += 1
                rows.append(self._row(raw, self._num_rows))
                size = raw.offset - self._offset + len(raw.data) + 1
        except InputError:
            # A quote is open: the next block may close it, unless there is none or the row is too long.
            if is_last or len(data) - size > MAX_ROW_BYTES:
                yield other_rows(self._name, tuple(rows))
                raise
        else:
            size = len(data)
        yield other_rows(self._name, tuple(rows))
        self._rest, self._offset = data[size:], self._offset + size

    def _parsed(self, cut: _Cut) -> Iterator[RowBlock]:
        numbers = self._num_rows + 1 + np.arange(len(cut.starts))
        self._num_rows += len(cut.starts)
        offset = self._offset

        def row(place: int) -> Record | Reject:
            data = cut.data[cut.starts[place] : cut.ends[place]]
            return self._row(RawRow(offset + int(cut.starts[place]), data, data.count(b"\n") + 1), int(numbers[place]))

        usual = np.flatnonzero(cut.is_usual)
        columns = self._columns_of(cut, usual) if len(usual) else None
        if columns is None:
            yield other_rows(self._name, tuple(map(row, range(len(numbers)))))
            return
        others = np.flatnonzero(~cut.is_usual).tolist()
        yield RowBlock(
            self._name, numbers[usual], columns, lambda place: row(int(usual[place])), tuple(map(row, others))
        )

    def _columns_of(self, cut: _Cut, usual: npt.NDArray[np.int64]) -> dict[str, pa.Array] | None:
        """Return the wanted columns of the usual rows; None where Arrow does not read them."""
        from pyarrow import csv

        data = cut.data
        if len(usual) < len(cut.starts):
            data = b"".join([data[cut.starts[place] : cut.ends[place] + 1] for place in usual.tolist()])
        # Arrow would take a BOM at the start of a block for one of the file.
        if data.startswith(BOM):
            return None
        try:
            table = csv.read_csv(
                pa.BufferReader(pa.py_buffer(data)),
                read_options=csv.ReadOptions(
                    use_threads=False, block_size=len(data) + 1, column_names=list(self._columns)
                ),
                parse_options=csv.ParseOptions(
                    delimiter=self._syntax.delimiter,
                    quote_char='"' if cut.has_quotes else False,
                    double_quote=True,
                    newlines_in_values=True,
                ),
                convert_options=csv.ConvertOptions(
                    column_types=dict.fromkeys(self._wanted, pa.string()),
                    include_columns=self._wanted,
                    strings_can_be_null=False,
                ),
            )
        except (pa.ArrowException, UnicodeDecodeError):
            return None
        if table.num_rows != len(usual):
            return None
        return {name: pa.concat_arrays(table.column(name).chunks) for name in self._wanted}

    def _row(self, raw: RawRow, number: int) -> Record | Reject:
        return delimited_row(
            raw,
            self._columns,
            self._syntax,
            file=self._name,
            number=number,
            encoding="utf-8",
            has_offsets=self._has_offsets,
        )


def _lines_of(data: bytes, offset: int) -> Iterator[Line]:
    """Yield the lines of `data`, which begins at `offset` of the file and ends with a line feed."""
    for line in data[:-1].split(b"\n"):
        yield Line(offset, line)
        offset += len(line) + 1


def _cut(data: bytes, delimiter: str, *, width: int) -> _Cut | None:
    """Return the whole rows of `data`, which begins with a row and ends with a line feed; None where it is odd."""
    values = np.frombuffer(data, np.uint8)
    stop = ord(delimiter)
    quotes = np.flatnonzero(values == _QUOTE)
    at_start = (quotes == 0) | np.isin(values[quotes - 1], (stop, _FEED))
    if not at_start.any():
        quotes = quotes[:0]
    elif not _take_turns(values, quotes, at_start, stop):
        return None
    # Only what stands behind an even number of quotes separates rows and cells.
    feeds, stops, returns = (_outside(np.flatnonzero(values == byte), quotes) for byte in (_FEED, stop, _RETURN))
    size = int(feeds[-1]) + 1 if len(feeds) else 0
    returns = returns[returns < size]
    if (values[returns + 1] != _FEED).any() or data.find(b"\0", 0, size) >= 0:
        return None
    starts, ends = np.concatenate([[0], feeds[:-1] + 1]).astype(np.int64)[: len(feeds)], feeds
    sizes = ends - starts
    filled = (sizes > 1) | ((sizes == 1) & (values[starts] != _RETURN))
    starts, ends = starts[filled], ends[filled]
    is_usual = np.searchsorted(stops, ends) - np.searchsorted(stops, starts) == width - 1
    mark_not_utf8(data[:size], ends, is_usual)
    return _Cut(data[:size], starts, ends, is_usual, has_quotes=len(quotes) > 0)


def _take_turns(
    values: npt.NDArray[np.uint8], quotes: npt.NDArray[np.int64], at_start: npt.NDArray[np.bool_], stop: int
) -> bool:
    """Return whether quotes open and close cells in turn; a doubled quote closes and opens at once."""
    opening, closing = quotes[0::2], quotes[1::2]
    opens = at_start[0::2].copy()
    opens[1:] |= opening[1:] == closing[: len(opening) - 1] + 1
    # The last byte is a line feed, so every quote has one after it.
    after = values[closing + 1]
    before_feed = (after == _RETURN) & (values[np.minimum(closing + 2, len(values) - 1)] == _FEED)
    closes = np.isin(after, (stop, _FEED, _QUOTE)) | before_feed
    return bool(opens.all() and closes.all())


def _outside(places: npt.NDArray[np.int64], quotes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return places[np.searchsorted(quotes, places) % 2 == 0] if len(quotes) else places
