"""From parts to the finished file: the same bytes whoever made the parts."""

from collections.abc import Sequence
from typing import BinaryIO, cast

from textlstm.config import FileFormat, LabellingConfig
from textlstm.labelling.columns import AddedColumns
from textlstm.labelling.journal import DigestStream, Journal, ShardRecord
from textlstm.labelling.plan import RowFormat
from textlstm.labelling.shard import parquet_schema, write_header


def join_parts(
    stream: DigestStream,
    records: Sequence[ShardRecord],
    journal: Journal,
    *,
    output: RowFormat,
    added: AddedColumns,
    settings: LabellingConfig,
) -> None:
    """Write the header and all parts, each checked against its record, in the order of `records`.

    Raises:
        IntegrityError: A part does not match its record.
        StorageError: The stream cannot be written.
    """
    if output.format is FileFormat.parquet:
        _join_parquet(stream, records, journal, output=output, added=added)
        return
    # Packed parts are joined as they are: gzip members and zstd frames that follow one another are one valid file.
    write_header(stream, output, added, settings=settings)
    for record in records:
        stream.write(journal.read_part(record))


def _join_parquet(
    stream: DigestStream, records: Sequence[ShardRecord], journal: Journal, *, output: RowFormat, added: AddedColumns
) -> None:
    """Copy the row groups of all parts into one file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = parquet_schema(output, added)
    with pq.ParquetWriter(cast(BinaryIO, stream), schema, compression="zstd", write_page_checksum=True) as writer:
        for record in records:
            # Each part is a Parquet file of its own; its row groups are written anew, one at a time.
            part = pq.ParquetFile(pa.BufferReader(journal.read_part(record)))
            for group in range(part.num_row_groups):
                table = part.read_row_group(group).cast(schema)
                writer.write_table(table, row_group_size=max(table.num_rows, 1))
