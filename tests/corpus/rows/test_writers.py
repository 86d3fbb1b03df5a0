"""Exact bytes of written files, and what writers refuse."""

import gzip
import io
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from whole_files import open_writer

from textlstm.config import FileFormat
from textlstm.corpus.rows.parquet import with_columns
from textlstm.corpus.rows.readers import read_records
from textlstm.corpus.rows.settings import Compression, ReadSettings
from textlstm.corpus.rows.streams import packed_stream
from textlstm.corpus.rows.values import JsonNumber
from textlstm.corpus.rows.writers import record_writer
from textlstm.errors import InputError, StorageError

ROW = {"text": 'a "b", c', "n": JsonNumber("1.50"), "flag": True, "none": None, "list": ["x", JsonNumber("1e5")]}


def written(format: FileFormat, *rows: dict[str, object], **settings: object) -> bytes:
    stream = io.BytesIO()
    writer = record_writer(stream, format, **settings)  # type: ignore[arg-type]
    for row in rows:
        writer.write(row)
    writer.close()
    return stream.getvalue()


def test_csv_quotes_where_it_must() -> None:
    assert written(FileFormat.csv, ROW, columns=list(ROW)) == (
        b'text,n,flag,none,list\n"a ""b"", c",1.50,true,,"[""x"", 1e5]"\n'
    )
    odd = {"text": "a\rb", "label": "\ufeff", "note": " a'b;c "}
    assert written(FileFormat.csv, odd, columns=list(odd)).decode() == ('text,label,note\n"a\rb","\ufeff", a\'b;c \n')


def test_tsv_quotes_tabs_and_not_commas() -> None:
    assert written(FileFormat.tsv, {"text": "a,b", "x": "a\tb"}, columns=["x", "text"]) == b'x\ttext\n"a\tb"\ta,b\n'


def test_jsonl_keeps_numbers_and_the_keys_of_each_row() -> None:
    assert written(FileFormat.jsonl, ROW, {"text": "é\u2028", "new": {}}).decode() == (
        '{"text": "a \\"b\\", c", "n": 1.50, "flag": true, "none": null, "list": ["x", 1e5]}\n'
        '{"text": "é\u2028", "new": {}}\n'
    )
    assert written(FileFormat.jsonl, {"b": 0.25, "c": "left out"}, columns=["a", "b"]) == b'{"a": null, "b": 0.25}\n'


def test_single_empty_cell_is_not_a_blank_line() -> None:
    assert written(FileFormat.csv, {"text": ""}, columns=["text"]) == b'text\n""\n'


def test_parts_without_header_join() -> None:
    parts = [written(FileFormat.csv, {"a": str(number)}, columns=["a"], header=number == 0) for number in range(3)]
    assert b"".join(parts) == b"a\n0\n1\n2\n"


@pytest.mark.parametrize("compression", [Compression.gzip, Compression.zstd])
def test_packed_parts_join_and_do_not_depend_on_time_or_pieces(tmp_path: Path, compression: Compression) -> None:
    def packed(*pieces: bytes) -> bytes:
        stream = io.BytesIO()
        with packed_stream(stream, compression) as packer:
            for piece in pieces:
                packer.write(piece)
        return stream.getvalue()

    content = b"".join(b"row %d\n" % number for number in range(60_000))
    once = packed(content)
    time.sleep(1.1)
    assert packed(content[:7], content[7:300_000], content[300_000:]) == once
    path = tmp_path / f"x.txt.{'gz' if compression is Compression.gzip else 'zst'}"
    path.write_bytes(once + packed(b"last\n"))
    rows = list(read_records(path, ReadSettings()))
    assert len(rows) == 60_001


def test_72_cells_that_a_spreadsheet_would_run() -> None:
    rows: list[dict[str, object]] = [
        {"text": text, "x": "1"} for text in ("=1+1", "+1", "-1", "@a", "\t=1", "a=1", "", " =1", "'=1")
    ]
    plain = written(FileFormat.csv, *rows, columns=["text", "x"])
    assert plain == b"text,x\n=1+1,1\n+1,1\n-1,1\n@a,1\n\t=1,1\na=1,1\n,1\n =1,1\n'=1,1\n"
    safe = written(FileFormat.csv, *rows, columns=["text", "x"], excel_safe=True)
    assert safe == b"text,x\n'=1+1,1\n'+1,1\n'-1,1\n'@a,1\n'\t=1,1\na=1,1\n,1\n =1,1\n'=1,1\n"
    quoted = written(FileFormat.csv, {"text": '=A1,"b"', "x": "1"}, columns=["text", "x"], excel_safe=True)
    assert quoted == b'text,x\n"\'=A1,""b""",1\n'


def test_parquet_values_in_other_formats() -> None:
    table = pa.table(
        {
            "text": ["a"],
            "when": pa.array([1_700_000_000_123_456_789], pa.timestamp("ns")),
            "day": pa.array([19_000], pa.date32()),
            "bytes": [b"\0\xff"],
            "list": [[1, None]],
            "big": [2**60],
            "real": [0.1],
            "odd": [float("nan")],
        }
    )
    stream = io.BytesIO()
    pq.write_table(table, stream)
    rows = _rows_of(stream.getvalue())
    assert written(FileFormat.csv, *rows, columns=table.column_names) == (
        b"text,when,day,bytes,list,big,real,odd\n"
        b'a,2023-11-14T22:13:20.123456789,2022-01-08,AP8=,"[1, null]",1152921504606846976,0.1,\n'
    )
    assert written(FileFormat.jsonl, *rows) == (
        b'{"text": "a", "when": "2023-11-14T22:13:20.123456789", "day": "2022-01-08", "bytes": "AP8=", '
        b'"list": [1, null], "big": 1152921504606846976, "real": 0.1, "odd": null}\n'
    )


def _rows_of(content: bytes) -> list[dict[str, object]]:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "x.parquet"
        path.write_bytes(content)
        return [dict(row.fields) for row in read_records(path, ReadSettings())]  # type: ignore[union-attr]


def test_columns_added_to_a_parquet_schema() -> None:
    schema = pa.schema([("text", pa.large_string()), ("n", pa.int8())])
    wider = with_columns(schema, {"predicted_label": str, "probability": float})
    content = written(
        FileFormat.parquet, {"text": "a", "n": 1, "predicted_label": "pos", "probability": 0.5}, schema=wider
    )
    table = pq.read_table(io.BytesIO(content))
    assert table.schema.types == [pa.large_string(), pa.int8(), pa.string(), pa.float64()]
    assert table.to_pylist() == [{"text": "a", "n": 1, "predicted_label": "pos", "probability": 0.5}]


def test_row_groups_end_by_rows_and_by_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textlstm.corpus.rows.parquet.ROW_GROUP_ROWS", 4)
    monkeypatch.setattr("textlstm.corpus.rows.parquet.ROW_GROUP_CHARS", 100)
    rows: list[dict[str, object]] = [
        {"text": text} for text in ("a", "b", "c" * 99, "d", "e", "f", "g", "h", "i" * 500)
    ]
    content = written(FileFormat.parquet, *rows, columns=["text"])
    metadata = pq.read_metadata(io.BytesIO(content))
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [3, 4, 2]
    assert pq.read_table(io.BytesIO(content)).to_pylist() == rows


def test_file_appears_complete_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"

    def write_and_fail() -> None:
        with open_writer(path, columns=["text"]) as writer:
            writer.write({"text": "a"})
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        write_and_fail()
    assert list(tmp_path.iterdir()) == []
    with open_writer(path, columns=["text"]) as writer:
        writer.write({"text": "a"})
    assert gzip.decompress(path.read_bytes()) == b"text\na\n"


class FullDisk(io.BytesIO):
    """A stream on which the second write fails."""

    def write(self, content: object) -> int:
        if self.tell():
            raise OSError(28, "No space left on device")
        return super().write(content)  # type: ignore[arg-type]


def test_80_full_disk_and_missing_folder_are_exit_code_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "missing" / "x.csv"
    with pytest.raises(StorageError) as caught, open_writer(missing, columns=["text"]):
        pass
    assert caught.value.exit_code == 4
    assert "No such file or directory" in caught.value.problems[0]
    stream = FullDisk()
    writer = record_writer(stream, FileFormat.csv, columns=["text"])
    with pytest.raises(OSError, match="No space left on device"):
        writer.write({"text": "a"})


def test_names_and_texts_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught, open_writer(tmp_path / "x.parquet.gz", columns=["text"]):
        pass
    assert caught.value.problems == (
        f"{tmp_path}/x.parquet.gz: packed Parquet is not read; Parquet compresses its columns itself. Unpack it.",
    )
    with pytest.raises(InputError) as caught:
        written(FileFormat.text, columns=["text", "label"])
    assert caught.value.problems == ("plain text holds one column, not 2. Write .csv, .tsv, .jsonl or .parquet.",)
    with pytest.raises(InputError) as caught:
        written(FileFormat.text, {"text": "a\nb"}, columns=["text"])
    assert caught.value.problems == (
        "a text with a line break cannot stand in plain text. Write .csv, .tsv or .jsonl.",
    )
    with pytest.raises(InputError) as caught:
        written(FileFormat.folder)
    assert caught.value.problems == (
        "rows cannot be written in the format folder. Use .csv, .tsv, .jsonl or .parquet.",
    )
