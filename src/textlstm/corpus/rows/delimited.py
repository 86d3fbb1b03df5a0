"""Records of CSV and TSV files, every cell verbatim as a string."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO, NamedTuple

from textlstm.config import FileFormat
from textlstm.corpus.rows.lines import MAX_ROW_BYTES, Line, LineInput, ReadCounts, RowStart, delimiter_problem
from textlstm.corpus.rows.records import Record, Reject, Rows
from textlstm.corpus.rows.settings import header_problems
from textlstm.corpus.rows.values import cell_text, excel_safe
from textlstm.errors import InputError

# Where rows of a delimited file (CSV, TSV) begin and end, and which cells they hold.

_BLANK = (b"", b"\r")


class RawRow(NamedTuple):
    """Bytes of one row without the line feed at its end."""

    offset: int
    data: bytes
    num_lines: int


class DelimitedSyntax:
    """The grammar of one delimiter, compiled."""

    def __init__(self, delimiter: str) -> None:
        self.delimiter = delimiter
        stop = re.escape(delimiter)
        inside = r'[^"]*+(?:""[^"]*+)*+'
        bare = rf'(?:[^"{stop}][^{stop}]*+)?+'
        tail = rf"[^{stop}]*+(?:{stop}|\Z)"
        cells = rf'(?:"{inside}"{tail}|[^"{stop}]{tail}|{stop})*+'
        self._cells = re.compile(cells.encode())
        self._closing = re.compile(f'{inside}"{tail}{cells}'.encode())
        cell = rf'(?:"{inside}"|{bare})'
        self._row = re.compile(rf"{cell}(?:{stop}{cell})*+\Z")
        self._cell = re.compile(rf'(?:^|{stop})(?:"({inside})"|({bare}))')

    def read_rows(
        self, lines: Iterable[Line], *, name: str, number: int = 0, blank: ReadCounts | None = None
    ) -> Iterator[RawRow]:
        """Yield the rows of `lines`, joined where a quoted cell holds line feeds; the first is row `number`.

        Blank lines before row 0 (the header) are skipped, all others too if `blank` is given, which counts them.

        Raises:
            InputError: a quote is never closed, or not within MAX_ROW_BYTES; the row where it opened is told.
        """
        parts: list[bytes] = []
        size = start = 0
        cells, closing = self._cells, self._closing
        for offset, data in lines:
            if not parts:
                if len(data) < 2 and data in _BLANK and (blank is not None or number == 0):
                    if blank is not None:
                        blank.blank_lines += 1
                    continue
                if b'"' in data and cells.match(data).end() < len(data):  # type: ignore[union-attr]  # matches ""
                    parts, start, size = [data], offset, len(data)
                    continue
                yield RawRow(offset, data, 1)
                number += 1
                continue
            parts.append(data)
            size += len(data) + 1
            if b'"' in data and (match := closing.match(data)) and match.end() == len(data):
                yield RawRow(start, b"\n".join(parts), len(parts))
                number += 1
                parts = []
            elif size > MAX_ROW_BYTES:
                raise InputError(_open_quote(name, number, f"is not closed within {MAX_ROW_BYTES >> 20} MiB"))
        if parts:
            raise InputError(_open_quote(name, number, "is never closed"))

    def split(self, row: str) -> list[str] | None:
        """Return the cells of `row`, None where characters follow a closing quote."""
        if '"' not in row:
            return row.split(self.delimiter)
        if not self._row.match(row):
            return None
        return [quoted.replace('""', '"') if quoted else bare for quoted, bare in self._cell.findall(row)]


def _open_quote(name: str, number: int, what: str) -> str:
    where = f"{name}:{number}" if number else f"{name}: header"
    return f"{where}: a quote opens a cell in this row and {what}. Close it, or double it where it is text."


COMMA = DelimitedSyntax(",")
TAB = DelimitedSyntax("\t")


def syntax_of(format: FileFormat) -> DelimitedSyntax:
    """Return the grammar of CSV or TSV."""
    return TAB if format is FileFormat.tsv else COMMA


def read_header(source: LineInput) -> tuple[str, ...]:
    """Return the columns that the first row of a CSV or TSV file names.

    Raises:
        InputError: the header cannot be read, looks like another delimiter, or lacks columns; all that is wrong.
    """
    with source.lines() as lines:
        return take_header(lines, source)


def read_delimited(source: LineInput, *, start: RowStart | None, counts: ReadCounts) -> Rows:
    """Yield the rows of a CSV or TSV file, all or from `start` on.

    Raises:
        InputError: as `read_header`, or a quote is never closed.
    """
    syntax, name, encoding = syntax_of(source.kind.format), source.name, source.encoding
    has_offsets, split = source.has_offsets, syntax.split
    columns = read_header(source) if start else ()
    with source.lines(start.offset if start else 0) as lines:
        columns = columns or take_header(lines, source)  # in one go, since a pipe cannot be opened twice
        width = len(columns)
        first = start.number if start else 1
        rows = syntax.read_rows(lines, name=name, number=first, blank=counts if width > 1 else None)
        for number, (offset, data, num_lines) in enumerate(rows, first):
            counts.rows += 1
            where = offset if has_offsets else -1
            try:
                row = data.decode(encoding)
            except UnicodeDecodeError as error:
                reason = bad_bytes(error, encoding, offset)
                cells = None
            else:
                cells = split(row.removesuffix("\r"))
                reason = _after_quote(num_lines) if cells is None else _fault(row, len(cells), width)
            if cells is not None and not reason:
                yield Record(name, number, where, dict(zip(columns, cells, strict=True)))
            else:
                counts.rejects += 1
                yield Reject(name, number, where, reason)


def bad_bytes(error: UnicodeDecodeError, encoding: str, offset: int) -> str:
    """Return the reason of a row that is not text of `encoding`, with the byte and its place in the file."""
    byte = error.object[error.start]
    return f"is not valid {encoding}: byte 0x{byte:02X} at byte offset {offset + error.start}"


def take_header(lines: Iterator[Line], source: LineInput) -> tuple[str, ...]:
    """Return the columns that the header names, and leave `lines` at the line after it.

    Raises:
        InputError: as `read_header`.
    """
    row = next(syntax_of(source.kind.format).read_rows(lines, name=source.name), None)
    if row is None:
        raise InputError(f"{source.name}: has no header and no data rows.")
    return _columns(row, source)


def _columns(row: RawRow, source: LineInput) -> tuple[str, ...]:
    name, settings = source.name, source.settings
    try:
        text = row.data.decode(source.encoding).removesuffix("\r")
    except UnicodeDecodeError as error:
        reason = bad_bytes(error, source.encoding, row.offset)
        raise InputError(f"{name}: the header {reason}. Set {settings.key_prefix}.encoding.") from None
    syntax = syntax_of(source.kind.format)
    cells = syntax.split(text)
    if cells is None:
        raise InputError(f"{name}: the header has characters after a closing quote. Double quotes inside of quotes.")
    if "\0" in text:
        raise InputError(f"{name}: the header holds a NUL byte; is this a text file?")
    other = delimiter_problem(
        text, delimiter=syntax.delimiter, num_columns=len(cells), name=name, key_prefix=settings.key_prefix
    )
    problems = [other] if other else header_problems(cells, settings, name=name)
    if problems:
        raise InputError(*problems)
    return tuple(cells)


def _after_quote(num_lines: int) -> str:
    spread = f"; the row spreads over {num_lines} lines" if num_lines > 1 else ""
    return f"has characters after a closing quote{spread}"


def _fault(row: str, num_cells: int, width: int) -> str:
    if num_cells != width:
        return f"has {num_cells} fields where the header has {width}"
    if "\0" in row:
        return "holds a NUL byte"
    return ""


# Writes CSV and TSV so that the reader gets every cell back as it was.


class DelimitedWriter:
    """Rows of one delimiter in UTF-8; a cell is quoted where it must be, and lines end in a line feed."""

    def __init__(
        self,
        stream: BinaryIO,
        syntax: DelimitedSyntax,
        *,
        columns: Sequence[str],
        header: bool = True,
        excel_safe: bool = False,
    ) -> None:
        self._stream = stream
        self._columns = tuple(columns)
        self._delimiter = syntax.delimiter
        self._num_delimiters = len(self._columns) - 1
        self._needs_quotes = re.compile(f'["\r\n{syntax.delimiter}]|\\A\ufeff')
        self._excel_safe = excel_safe
        if header:
            self._write_cells(list(self._columns))

    def write(self, fields: Mapping[str, object]) -> None:
        """Write one row; columns that `fields` lacks are empty cells, further ones are left out."""
        cells = []
        for column in self._columns:
            value = fields.get(column, "")
            cells.append(value if isinstance(value, str) else cell_text(value))
        self._write_cells(cells)

    def close(self) -> None:
        """Nothing is buffered."""

    def _write_cells(self, cells: list[str]) -> None:
        if self._excel_safe:
            cells = [excel_safe(cell) for cell in cells]
        line = self._delimiter.join(cells)
        if self._needs_care(line):
            line = self._delimiter.join([self._quoted(cell) for cell in cells]) if line else '""'
        self._stream.write(line.encode("utf-8") + b"\n")

    def _needs_care(self, line: str) -> bool:
        return (
            '"' in line
            or line.count(self._delimiter) != self._num_delimiters
            or "\n" in line
            or "\r" in line
            or not line
            or line[0] == "\ufeff"
        )

    def _quoted(self, cell: str) -> str:
        if self._needs_quotes.search(cell):
            return '"' + cell.replace('"', '""') + '"'
        return cell
