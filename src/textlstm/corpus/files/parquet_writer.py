"""Writes Parquet: strings, or the columns of a given Arrow schema; with checksums on every page."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO

from textlstm.corpus.files.cell_text import cell_text

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP_ROWS = 20_000
ROW_GROUP_CHARS = 1 << 26
"""A row group ends after so many rows, or after the row with which its strings reach so many characters."""
_COMPRESSION = "zstd"


class ParquetWriter:
    """Rows gathered into row groups; the same rows give the same bytes."""

    def __init__(
        self, stream: BinaryIO, *, columns: Sequence[str] | None = None, schema: "pa.Schema | None" = None
    ) -> None:
        """Take the types from `schema`; with `columns` instead, all are strings."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if schema is None:
            schema = pa.schema([(column, pa.string()) for column in columns or ()])
        self._schema = schema
        self._writer = pq.ParquetWriter(stream, schema, compression=_COMPRESSION, write_page_checksum=True)
        self._names = tuple(schema.names)
        self._is_text = tuple(pa.types.is_string(kind) or pa.types.is_large_string(kind) for kind in schema.types)
        self._rows: list[Mapping[str, object]] = []
        self._num_chars = 0

    def write(self, fields: Mapping[str, object]) -> None:
        """Add one row; columns that `fields` lacks are null."""
        self._rows.append(fields)
        for value in fields.values():
            if isinstance(value, str):
                self._num_chars += len(value)
        if len(self._rows) == ROW_GROUP_ROWS or self._num_chars >= ROW_GROUP_CHARS:
            self._flush()

    def close(self) -> None:
        """Write what is gathered, and the footer."""
        if self._rows:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa

        arrays = []
        for name, kind, is_text in zip(self._names, self._schema.types, self._is_text, strict=True):
            values = [row.get(name) for row in self._rows]
            if is_text:
                values = [value if value is None or isinstance(value, str) else cell_text(value) for value in values]
            elif pa.types.is_dictionary(kind):
                arrays.append(pa.array(values, kind.value_type).dictionary_encode().cast(kind))
                continue
            arrays.append(pa.array(values, kind))
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        self._rows, self._num_chars = [], 0


def with_columns(schema: "pa.Schema", added: Mapping[str, type]) -> "pa.Schema":
    """Return `schema` with columns appended, of type str, float, int or bool."""
    import pyarrow as pa

    kinds = {str: pa.string(), float: pa.float64(), int: pa.int64(), bool: pa.bool_()}
    for name, kind in added.items():
        schema = schema.append(pa.field(name, kinds[kind]))
    return schema
