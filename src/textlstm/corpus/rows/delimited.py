"""Records of CSV and TSV files, every cell verbatim as a string."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import BinaryIO, NamedTuple

from textlstm.config import FileFormat
from textlstm.corpus.rows.lines import MAX_ROW_BYTES, Line, LineInput, ReadCounts, RowStart
from textlstm.corpus.rows.records import Record, Reject, Rows, text_of_name
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
        # `inside` is the text of a quoted cell, in which a doubled quote is a quote; `tail` runs to the next delimiter.
        # Possessive repeats (`*+`, `?+`) give nothing back, so that matching never backtracks.
        inside = r'[^"]*+(?:""[^"]*+)*+'
        bare = rf'(?:[^"{stop}][^{stop}]*+)?+'
        tail = rf"[^{stop}]*+(?:{stop}|\Z)"
        cells = rf'(?:"{inside}"{tail}|[^"{stop}]{tail}|{stop})*+'
        # For a line of bytes. `_cells` stops before the end of a line that leaves a quote open; `_closing` reads a
        # later line up to the closing quote and on.
        self._cells = re.compile(cells.encode())
        self._closing = re.compile(f'{inside}"{tail}{cells}'.encode())
        # For the text of a whole row, more strictly: nothing may follow a closing quote.
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
        # `parts` holds the lines of a row with an open quote; mostly it is empty, and a line is a row.
        for offset, data in lines:
            if not parts:
                if len(data) < 2 and data in _BLANK and (blank is not None or number == 0):
                    if blank is not None:
                        blank.blank_lines += 1
                    continue
                # Only a line with a quote can go on in the next line.
                if b'"' in data and cells.match(data).end() < len(data):  # type: ignore[union-attr]  # matches ""
                    parts, start, size = [data], offset, len(data)
                    continue
                yield RawRow(offset, data, 1)
                number += 1
                continue
            # A quote is open: this line belongs to the cell, up to the line in which it closes.
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


DELIMITER_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
_OF_DELIMITER = cache(DelimitedSyntax)
_SYNTAXES = {delimiter: _OF_DELIMITER(delimiter) for delimiter in DELIMITER_NAMES}
_DECLARATION = re.compile(rb"sep=([,;|\t])\r?\Z", re.IGNORECASE)
"""The first line by which Excel tells the delimiter; it is no row."""


def syntax_of(format: FileFormat, delimiter: str = "") -> DelimitedSyntax:
    """Return the grammar of CSV or TSV, or of another `delimiter`."""
    return _OF_DELIMITER(delimiter or ("\t" if format is FileFormat.tsv else ","))


class Header(NamedTuple):
    """What the first row of a delimited file says."""

    columns: tuple[str, ...]
    syntax: DelimitedSyntax
    """The grammar of the rows below."""
    notes: tuple[str, ...] = ()
    """How the file differs from what its name says, and how it is read."""


def read_header(source: LineInput) -> Header:
    """Return what the first row of a CSV or TSV file says.

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
    name, encoding, has_offsets = source.name, source.encoding, source.has_offsets
    header = read_header(source) if start else None
    with source.lines(start.offset if start else 0) as lines:
        columns, syntax, _ = header or take_header(lines, source)  # in one go, since a pipe cannot be opened twice
        first = start.number if start else 1
        # Where there is one column, a blank line is an empty cell and so a row.
        rows = syntax.read_rows(lines, name=name, number=first, blank=counts if len(columns) > 1 else None)
        for number, raw in enumerate(rows, first):
            counts.rows += 1
            row = delimited_row(
                raw, columns, syntax, file=name, number=number, encoding=encoding, has_offsets=has_offsets
            )
            counts.rejects += isinstance(row, Reject)
            yield row


def delimited_row(
    raw: RawRow,
    columns: Sequence[str],
    syntax: DelimitedSyntax,
    *,
    file: str,
    number: int,
    encoding: str,
    has_offsets: bool,
) -> Record | Reject:
    """Return the row of some bytes; without `has_offsets`, the row has no offset."""
    where = raw.offset if has_offsets else -1
    try:
        # Each row is decoded by itself, so that bad bytes reject one row and not the file.
        row = raw.data.decode(encoding)
    except UnicodeDecodeError as error:
        return Reject(file, number, where, bad_bytes(error, encoding, raw.offset))
    cells = syntax.split(row.removesuffix("\r"))
    if cells is None:
        return Reject(file, number, where, _after_quote(raw.num_lines))
    if reason := _fault(row, len(cells), len(columns)):
        return Reject(file, number, where, reason)
    return Record(file, number, where, dict(zip(columns, cells, strict=True)))


def bad_bytes(error: UnicodeDecodeError, encoding: str, offset: int) -> str:
    """Return the reason of a row that is not text of `encoding`, with the byte and its place in the file."""
    byte = error.object[error.start]
    return f"is not valid {encoding}: byte 0x{byte:02X} at byte offset {offset + error.start}"


def take_header(lines: Iterator[Line], source: LineInput) -> Header:
    """Return what the header says, and leave `lines` at the line after it.

    The delimiter is another than that of the file's name if the first line declares one (`sep=;`, from Excel), or if
    the header is one cell by the delimiter of the name and holds another delimiter.

    Raises:
        InputError: as `read_header`.
    """
    given = source.settings.delimiter
    syntax = syntax_of(source.kind.format, given)
    row = next(syntax.read_rows(lines, name=source.name), None)
    declared = row is not None and _DECLARATION.match(row.data)
    # The line `sep=;` is no row: the header is the next line.
    if declared:
        syntax = syntax if given else _SYNTAXES[declared[1].decode()]
        row = next(syntax.read_rows(lines, name=source.name), None)
    if row is None:
        raise InputError(f"{source.name}: has no header and no data rows.")
    text = _header_text(row, source)
    # A given or declared delimiter is final; otherwise the header itself may show another one.
    if not declared and not given:
        syntax = _other_syntax(text, source) or syntax
    cells = syntax.split(text)
    if cells is None:
        raise InputError(
            f"{source.name}: the header has characters after a closing quote. Double quotes inside of quotes."
        )
    columns = _named(cells)
    _check_header(columns, source, syntax)
    notes = []
    if syntax is not syntax_of(source.kind.format, given):
        notes.append(
            f"{text_of_name(source.path.name)}: read with {DELIMITER_NAMES[syntax.delimiter]} between its cells"
        )
    if named := [name for name, cell in zip(columns, cells, strict=True) if name != cell]:
        notes.append(f"{text_of_name(source.path.name)}: columns without a name are called {', '.join(named)}")
    return Header(columns, syntax, tuple(notes))


def _header_text(row: RawRow, source: LineInput) -> str:
    try:
        text = row.data.decode(source.encoding).removesuffix("\r")
    except UnicodeDecodeError as error:
        reason = bad_bytes(error, source.encoding, row.offset)
        raise InputError(f"{source.name}: the header {reason}. Set {source.settings.key_prefix}.encoding.") from None
    if "\0" in text:
        raise InputError(f"{source.name}: the header holds a NUL byte; is this a text file?")
    return text


def _other_syntax(header: str, source: LineInput) -> DelimitedSyntax | None:
    """Return the grammar of the other delimiter in a header that is one cell by its own; None where there is none.

    Of several, it is the first that finds all required columns, else the one that finds most columns.
    """
    own = syntax_of(source.kind.format)
    if len(own.split(header) or ()) != 1:
        return None
    required = source.settings.required_columns().keys()
    found = {syntax: cells for syntax in _SYNTAXES.values() if len(cells := syntax.split(header) or []) > 1}
    fitting = (syntax for syntax, cells in found.items() if required <= set(cells))
    return next(fitting, max(found, key=lambda syntax: len(found[syntax]), default=None))


def _named(cells: Sequence[str]) -> tuple[str, ...]:
    """Return the columns, of which the second and later ones without a name are called `unnamed_` and their place.

    Example: a header of "text,label,," has the columns text, label, "" and unnamed_4.
    """
    columns: list[str] = []
    for place, cell in enumerate(cells, 1):
        name = f"unnamed_{place}"
        columns.append(name if not cell and "" in columns and name not in cells else cell)
    return tuple(columns)


def _check_header(columns: Sequence[str], source: LineInput, syntax: DelimitedSyntax) -> None:
    problems = header_problems(columns, source.settings, name=source.name)
    own = syntax_of(source.kind.format)
    if problems and syntax is not own and not source.settings.delimiter:
        mine, other = (DELIMITER_NAMES[delimiter] for delimiter in (own.delimiter, syntax.delimiter))
        where = f"{source.name}: the header has no {mine} but {other}, and between them"
        problems = [f"{where} {problem.removeprefix(f'{source.name}: ')}" for problem in problems]
    if problems:
        raise InputError(*problems)


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
        decimal_comma: bool = False,
    ) -> None:
        self._stream = stream
        self._columns = tuple(columns)
        self._delimiter = syntax.delimiter
        self._num_delimiters = len(self._columns) - 1
        # A cell with a BOM at its start is quoted: the reader strips a bare one at the start of a file.
        self._needs_quotes = re.compile(f'["\r\n{syntax.delimiter}]|\\A\ufeff')
        self._excel_safe = excel_safe
        self._decimal_comma = decimal_comma
        if header:
            self._write_cells(list(self._columns))

    def write(self, fields: Mapping[str, object]) -> None:
        """Write one row; columns that `fields` lacks are empty cells, further ones are left out."""
        cells = []
        for column in self._columns:
            value = fields.get(column, "")
            cell = value if isinstance(value, str) else cell_text(value)
            cells.append(cell.replace(".", ",") if self._decimal_comma and isinstance(value, float) else cell)
        self._write_cells(cells)

    def close(self) -> None:
        """Nothing is buffered."""

    def _write_cells(self, cells: list[str]) -> None:
        if self._excel_safe:
            cells = [excel_safe(cell) for cell in cells]
        # Most rows need no quotes, which one look at the joined line tells. An empty line would be blank to the reader,
        # so that an empty cell alone is written as two quotes.
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
