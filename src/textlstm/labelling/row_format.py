"""How the rows of an output stand in its file, as plain data that plans and requests to workers carry."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from textlstm.config import FileFormat
from textlstm.corpus.files.formats import Compression


class RowFormat(NamedTuple):
    """Format and columns of an output."""

    format: FileFormat
    compression: Compression
    columns: tuple[str, ...]
    """Columns that come from the input, in order; the added ones follow. Rows of JSONL have their own."""
    schema: str = ""
    """Arrow schema of a Parquet input for a Parquet output (IPC message, base64); empty: all are strings."""

    @classmethod
    def from_plain(cls, values: Sequence[Any]) -> "RowFormat":
        """Return the format from the JSON list of its values."""
        format, compression, columns, schema = values
        return cls(FileFormat(format), Compression(compression), tuple(columns), schema)
