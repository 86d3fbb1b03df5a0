"""Records of CSV and TSV files, every cell verbatim as a string."""

from collections.abc import Iterator

from textlstm.config import FileFormat
from textlstm.corpus.files.content import delimiter_problem
from textlstm.corpus.files.delimited_rows import DelimitedSyntax, RawRow
from textlstm.corpus.files.header import header_problems
from textlstm.corpus.files.lines import Line
from textlstm.corpus.files.records import Record, Reject, Rows
from textlstm.corpus.files.row_input import LineInput, ReadCounts, RowStart
from textlstm.errors import InputError

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
