"""Parquet by batches: columns as Arrow has them, and batches with strings that are no UTF-8 read row by row."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from textlstm.corpus.rows.blocks.row_block import RowBlock, other_rows, wanted_columns
from textlstm.corpus.rows.lines import ReadCounts
from textlstm.corpus.rows.parquet import Classes, is_text, parquet_batches, read_parquet_schema, records_of
from textlstm.corpus.rows.records import Record, Reject
from textlstm.corpus.rows.settings import ReadSettings


def read_parquet_blocks(path: Path, settings: ReadSettings) -> Iterator[RowBlock]:
    """Yield the rows of a Parquet file.

    Raises:
        InputError: as `read_parquet_schema`, or the file is damaged.
    """
    read_parquet_schema(path, settings)
    wanted = wanted_columns(settings)
    number = 0
    for batch, classes in parquet_batches(path, settings):
        first = number
        number += batch.num_rows

        record = partial(_record, batch, str(path), first, classes)
        columns = {name: _decoded(batch.column(name)) for name in wanted if name in batch.schema.names}
        if _has_valid_texts(batch):
            yield RowBlock(str(path), first + 1 + np.arange(batch.num_rows), columns, record)
        else:
            yield other_rows(str(path), tuple(map(record, range(batch.num_rows))))


def _record(batch: pa.RecordBatch, name: str, first: int, classes: Classes, place: int) -> Record | Reject:
    return next(records_of(batch.slice(place, 1), name, first + place, ReadCounts(), classes))


def _has_valid_texts(batch: pa.RecordBatch) -> bool:
    """Return whether the texts of all columns are UTF-8, which Parquet does not guarantee."""
    try:
        for column in batch.columns:
            if is_text(column.type) and not pa.types.is_null(column.type):
                _decoded(column).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _decoded(column: pa.Array) -> pa.Array:
    """Return a column of any kind of text as strings, other columns as they are."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.string())
    return column
