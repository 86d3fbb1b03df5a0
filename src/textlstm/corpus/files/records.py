"""What a reader yields: a row as it stands in the file, or why it was rejected."""

from collections.abc import Generator, Mapping
from typing import NamedTuple


class Record(NamedTuple):
    """One row of an input file, verbatim.

    CSV, TSV and text values are `str`. JSON values are what the JSON says; a JSON number is a `JsonNumber`, which keeps
    its source text. Parquet strings, booleans, integers and floats are Python objects, all other Parquet values are
    Arrow scalars, so that nothing is lost on the way to a Parquet output.
    """

    file: str
    number: int
    """Row number in the file, 1 for the first data row; a CSV header and blank JSONL lines do not count."""
    offset: int
    """Byte offset of the row's first byte in the unpacked file; -1 where there is none (Parquet, UTF-16)."""
    fields: Mapping[str, object]
    """Values by column name, in the file's column order."""


class Reject(NamedTuple):
    """A row that cannot be used; never holds the text itself."""

    file: str
    number: int
    offset: int
    reason: str


Rows = Generator[Record | Reject, None, None]
"""What readers return."""
