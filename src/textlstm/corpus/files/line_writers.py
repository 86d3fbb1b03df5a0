"""Writes JSONL (one object a line) and plain text (one text a line)."""

from collections.abc import Mapping, Sequence
from typing import BinaryIO

from textlstm.corpus.files.cell_text import cell_text, plain_value
from textlstm.corpus.files.json_values import dump_object
from textlstm.corpus.files.lines import BOM
from textlstm.errors import InputError


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
