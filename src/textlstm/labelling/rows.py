"""Rows of a shard in and out: the corpus room's readers and writers, as labelling uses them."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, cast

from textlstm.config import FileFormat, LabellingConfig
from textlstm.corpus.files.packing import packed_stream
from textlstm.corpus.files.parquet_writer import with_columns
from textlstm.corpus.files.read_settings import ColumnNames, ReadSettings
from textlstm.corpus.files.readers import read_records
from textlstm.corpus.files.records import Record, Reject
from textlstm.corpus.files.row_input import RowRange, RowStart
from textlstm.corpus.files.writers import RecordWriter, record_writer
from textlstm.corpus.sources.examples import example_reader
from textlstm.labelling.columns import AddedColumns
from textlstm.labelling.digest_stream import DigestStream
from textlstm.labelling.plan import InputFile, Shard
from textlstm.labelling.remote import local_path
from textlstm.labelling.row_format import RowFormat

if TYPE_CHECKING:
    import pyarrow as pa


def settings_of_reading(settings: LabellingConfig, *, text_column: str) -> ReadSettings:
    """Return how inputs are read: only the text column counts, whatever other columns hold."""
    base = ReadSettings.for_labelling(settings, text_column=text_column)
    return replace(base, columns=ColumnNames(text=base.columns.text, label=""))


def read_rows(
    file: InputFile, shard: Shard, settings: LabellingConfig, *, text_column: str
) -> Iterator[Record | Reject]:
    """Yield the rows of `shard` whose text can be labelled, and a reject for each other one.

    Raises:
        InputError: The file changed since it was planned.
        StorageError: Reading fails.
    """
    reading = replace(
        settings_of_reading(settings, text_column=text_column), format=file.format, encoding=file.encoding
    )
    check = example_reader(reading, keep_blank=True)
    start = RowStart(shard.first_row, shard.offset) if shard.offset >= 0 else None
    rows = RowRange(shard.first_row, shard.last_row, start, file.state)
    for row in read_records(local_path(file.path), reading, rows=rows):
        found = check(row) if isinstance(row, Record) else row
        if isinstance(found, Reject):
            yield found._replace(file=file.name)
        else:
            yield found.record


@contextmanager
def write_rows(
    stream: DigestStream, output: RowFormat, added: AddedColumns, *, settings: LabellingConfig
) -> Iterator[RecordWriter]:
    """Give the writer of one part into `stream`: without header, packed as the output is."""
    with packed_stream(cast(BinaryIO, stream), output.compression) as packer:
        writer = record_writer(
            packer,
            output.format,
            columns=None if output.format is FileFormat.jsonl else (*output.columns, *added.names),
            schema=parquet_schema(output, added) if output.format is FileFormat.parquet else None,
            header=False,
            excel_safe=settings.excel_safe,
        )
        yield writer
        writer.close()


def write_header(stream: DigestStream, output: RowFormat, added: AddedColumns, *, settings: LabellingConfig) -> None:
    """Write what comes before the first part of a CSV or TSV output; nothing for JSONL."""
    if output.format in (FileFormat.csv, FileFormat.tsv):
        with packed_stream(cast(BinaryIO, stream), output.compression) as packer:
            columns = (*output.columns, *added.names)
            record_writer(packer, output.format, columns=columns, excel_safe=settings.excel_safe).close()


def parquet_schema(output: RowFormat, added: AddedColumns) -> "pa.Schema":
    """Return the Arrow schema of a Parquet output: the input's types where it is Parquet, strings elsewhere."""
    import pyarrow as pa

    if output.schema:
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(output.schema)))
    else:
        schema = pa.schema([(name, pa.string()) for name in output.columns])
    return with_columns(schema, added.types)
