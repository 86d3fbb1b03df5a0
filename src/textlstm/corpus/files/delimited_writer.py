"""Writes CSV and TSV so that the reader gets every cell back as it was."""

import re
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from textlstm.corpus.files.cell_text import cell_text, excel_safe
from textlstm.corpus.files.delimited_rows import DelimitedSyntax


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
