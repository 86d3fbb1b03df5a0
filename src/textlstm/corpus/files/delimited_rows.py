"""Where rows of a delimited file (CSV, TSV) begin and end, and which cells they hold.

A quote opens a cell only as its first character and is doubled inside; elsewhere it is a character like any other, as
Python's csv module has it. Rows end at line feeds outside of quoted cells; a carriage return before one belongs to the
row's end. Everything else is kept verbatim.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from textlstm.corpus.files.lines import MAX_ROW_BYTES, Line
from textlstm.corpus.files.row_input import ReadCounts
from textlstm.errors import InputError

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
