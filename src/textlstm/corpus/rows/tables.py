"""Rows of a database as a file of JSONL, since rows are read more than once and from any place."""

import atexit
import shutil
import tempfile
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache
from pathlib import Path

from textlstm.corpus.rows.json_lines import JsonlWriter
from textlstm.corpus.rows.values import JsonNumber, plain_value
from textlstm.errors import InputError
from textlstm.storage.databases import parse_address, query_rows
from textlstm.storage.files import storage_errors


def file_name_of(name: str) -> str:
    """Return a name for a file with the rows of an address."""
    return f"{parse_address(name).table.replace('/', '_') or 'query'}.jsonl"


@cache
def fetched_rows(name: str) -> Path:
    """Return a file with the rows of the query or table at `name`, fetched once a process; it goes with the process.

    Raises:
        InputError: As `query_rows`, or there is no row.
        StorageError: There is no room for the copy.
    """
    with storage_errors(Path(tempfile.gettempdir())):
        folder = Path(tempfile.mkdtemp(prefix="textlstm-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        path = folder / file_name_of(name)
        with query_rows(name) as (columns, rows), path.open("wb") as stream:
            writer = JsonlWriter(stream)
            for row in rows:
                writer.write(dict(zip(columns, map(_value, row), strict=True)))
    if path.stat().st_size == 0:
        raise InputError(f"{name}: has no rows")
    return path


def _value(value: object) -> object:
    if isinstance(value, Decimal):
        return JsonNumber(str(value)) if value.is_finite() else None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return plain_value(value)
