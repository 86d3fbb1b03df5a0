"""What a reader yields: a row as it stands in the file, or why it was rejected."""

from collections.abc import Mapping
from typing import NamedTuple


class Record(NamedTuple):
    """One row of an input file, verbatim.

    CSV, TSV and text values are `str`. JSON values are what the JSON says (numbers keep their source text when written
    again). Parquet values are Arrow values as Python objects.
    """

    file: str
    number: int
    """Row number in the file, 1 for the first data row."""
    offset: int
    """Byte offset of the row's first byte in the unpacked file; -1 where the format has none (Parquet)."""
    fields: Mapping[str, object]
    """Values by column name, in the file's column order."""


class Reject(NamedTuple):
    """A row that cannot be used; never holds the text itself."""

    file: str
    number: int
    offset: int
    reason: str
