"""The writer of every format: fields of rows in, a file out that the reader turns into the same rows."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO, Protocol, assert_never

from textlstm.config import FileFormat
from textlstm.corpus.rows.delimited import DelimitedWriter, syntax_of
from textlstm.corpus.rows.json_lines import JsonlWriter, TextWriter
from textlstm.corpus.rows.parquet import ParquetWriter
from textlstm.corpus.rows.workbooks import WorkbookWriter
from textlstm.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa


class RecordWriter(Protocol):
    """Writes rows, one mapping of column to value each."""

    def write(self, fields: Mapping[str, object]) -> None:
        """Write one row."""

    def close(self) -> None:
        """Finish the file; the stream stays open."""


def record_writer(
    stream: BinaryIO,
    format: FileFormat,
    *,
    columns: Sequence[str] | None = None,
    schema: "pa.Schema | None" = None,
    header: bool = True,
    excel_safe: bool = False,
    delimiter: str = "",
    decimal_comma: bool = False,
) -> RecordWriter:
    """Return the writer of `format` into `stream`.

    CSV, TSV, workbooks and text need `columns`; JSONL takes them or writes each row's own keys; Parquet needs `columns`
    (all strings) or a `schema`. Without `header`, CSV and TSV begin with the first row, so that parts can be joined.
    `excel_safe` disarms formulas in CSV and TSV, `delimiter` stands between their cells, and with `decimal_comma` their
    floats have a comma.

    Raises:
        InputError: the format has no writer, or `columns` do not fit it.
    """
    match format:
        case FileFormat.csv | FileFormat.tsv:
            return DelimitedWriter(
                stream,
                syntax_of(format, delimiter),
                columns=columns or (),
                header=header,
                excel_safe=excel_safe,
                decimal_comma=decimal_comma,
            )
        case FileFormat.jsonl:
            return JsonlWriter(stream, columns=columns)
        case FileFormat.parquet:
            return ParquetWriter(stream, columns=columns, schema=schema)
        case FileFormat.xlsx:
            return WorkbookWriter(stream, columns=columns or ())
        case FileFormat.text:
            return TextWriter(stream, columns=columns or ())
        case FileFormat.auto | FileFormat.folder:
            raise InputError(f"rows cannot be written in the format {format}. Use .csv, .tsv, .jsonl or .parquet.")
        case _:
            assert_never(format)
