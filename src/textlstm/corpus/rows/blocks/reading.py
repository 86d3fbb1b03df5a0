"""The reader by blocks of every file: by columns where its format and encoding allow it, else row by row."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from textlstm.config import FileFormat
from textlstm.corpus.rows.blocks.delimited_blocks import read_delimited_blocks
from textlstm.corpus.rows.blocks.json_blocks import read_json_blocks
from textlstm.corpus.rows.blocks.parquet_blocks import read_parquet_blocks
from textlstm.corpus.rows.blocks.row_block import RowBlock, other_rows
from textlstm.corpus.rows.delimited import read_header
from textlstm.corpus.rows.lines import LineInput
from textlstm.corpus.rows.readers import kind_of_input, read_in_turn, read_records
from textlstm.corpus.rows.records import Record, Reject
from textlstm.corpus.rows.settings import ReadSettings
from textlstm.corpus.rows.streams import check_unchanged, file_state
from textlstm.errors import InputError

_ROWS = 1024
"""Rows in a block of a file that is read row by row."""


def read_row_blocks(path: Path, settings: ReadSettings) -> Iterator[RowBlock]:
    """Yield the rows of `path`, the same as `read_records` yields.

    Raises:
        InputError: as `read_records`.
        StorageError: reading fails.
    """
    source = LineInput(path, kind_of_input(path, settings), settings)
    before = file_state(path) if source.is_regular else None
    blocks = _by_columns(source) if source.is_regular else None
    if blocks is None:
        yield from _row_by_row(path, settings)
        return
    num_rows = 0
    for block in blocks:
        num_rows += block.num_rows
        yield block
    check_unchanged(path, before)
    if num_rows == 0:
        raise InputError(f"{path}: has no data rows.")


def read_all_blocks(paths: Sequence[Path], settings: ReadSettings) -> Iterator[RowBlock]:
    """Yield the rows of all `paths` in turn; the problems of all files are reported together.

    Raises:
        InputError: at the end, with the problems of all files.
        StorageError: reading fails.
    """
    yield from read_in_turn(paths, lambda path: read_row_blocks(path, settings))


def _by_columns(source: LineInput) -> Iterator[RowBlock] | None:
    """Return the rows by columns; None where they must be read one by one."""
    match source.kind.format:
        case FileFormat.parquet:
            return read_parquet_blocks(source.path, source.settings)
        case FileFormat.jsonl if source.encoding == "utf-8":
            return read_json_blocks(source)
        # A blank line in a file of one column is a row; a delimiter that is no ASCII is several bytes.
        case FileFormat.csv | FileFormat.tsv if source.encoding == "utf-8" and source.has_offsets:
            header = read_header(source)
            return (
                read_delimited_blocks(source) if len(header.columns) > 1 and header.syntax.delimiter.isascii() else None
            )
        case _:
            return None


def _row_by_row(path: Path, settings: ReadSettings) -> Iterator[RowBlock]:
    rows: list[Record | Reject] = []
    try:
        for row in read_records(path, settings):
            rows.append(row)
            if len(rows) == _ROWS:
                yield other_rows(str(path), tuple(rows))
                rows = []
    except InputError:
        # The rows before the fault count, as they do where single rows are read.
        yield other_rows(str(path), tuple(rows))
        raise
    yield other_rows(str(path), tuple(rows))
