"""Ranges of rows are read on their own, without reading what comes before them where the file allows it."""

import gzip
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from textlstm.corpus.rows.lines import ReadCounts
from textlstm.corpus.rows.readers import index_rows, read_records
from textlstm.corpus.rows.records import Record, Reject
from textlstm.corpus.rows.settings import ReadSettings
from textlstm.errors import InputError

SETTINGS = ReadSettings()
CSV = b"\xef\xbb\xbftext,label\r\n" + b"".join(
    b'"row, %d\nsecond line",a\r\n' % number if number % 3 == 0 else b"row %d,b\r\n\r\n" % number
    for number in range(1, 101)
)


def write(directory: Path, format: str) -> Path:
    path = directory / f"x.{format}"
    match format:
        case "csv":
            path.write_bytes(CSV)
        case "csv.gz":
            path.write_bytes(gzip.compress(CSV))
        case "tsv":
            path.write_bytes(CSV.replace(b",", b"\t"))
        case "jsonl":
            path.write_bytes(b"".join(b'{"text": "row %d"}\n\n' % number for number in range(1, 101)))
        case "txt":
            path.write_bytes(b"".join(b"row %d\n\n" % number for number in range(1, 51)))
        case "parquet":
            pq.write_table(pa.table({"text": [f"row {number}" for number in range(1, 101)]}), path, row_group_size=7)
    return path


@pytest.mark.parametrize("format", ["csv", "csv.gz", "tsv", "jsonl", "txt", "parquet"])
@pytest.mark.parametrize("stride", [1, 7, 1000])
def test_ranges_together_are_the_whole_file(tmp_path: Path, format: str, stride: int) -> None:
    path = write(tmp_path, format)
    whole = list(read_records(path, SETTINGS))
    index = index_rows(path, SETTINGS, stride=stride)
    assert index.num_rows == len(whole) == 100
    for size in (1, 9, 33, 100, 500):
        parts = [
            row
            for first in range(1, 101, size)
            for row in read_records(path, SETTINGS, rows=index.rows(first, first + size - 1))
        ]
        assert parts == whole


def test_offsets_are_those_of_the_rows(tmp_path: Path) -> None:
    path = write(tmp_path, "csv")
    offsets = {row.number: row.offset for row in read_records(path, SETTINGS)}
    index = index_rows(path, SETTINGS, stride=10)
    assert index.offsets.tolist() == [offsets[number] for number in range(1, 101, 10)]
    assert CSV[offsets[3] :].startswith(b'"row, 3\n')


def test_reading_a_range_begins_at_the_known_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"".join(b"%08d\n" % number for number in range(1, 1_000_001)))
    index = index_rows(path, SETTINGS, stride=1000)
    assert index.offsets.dtype == np.int64
    starts = []
    original = __import__("textlstm.corpus.rows.streams", fromlist=["read_blocks"]).read_blocks

    def noting(*arguments: object, start: int = 0, **settings: object) -> object:
        starts.append(start)
        return original(*arguments, start=start, **settings)

    monkeypatch.setattr("textlstm.corpus.rows.lines.read_blocks", noting)
    rows = list(read_records(path, SETTINGS, rows=index.rows(990_500, 990_501)))
    assert [row.fields["text"] for row in rows if isinstance(row, Record)] == ["00990500", "00990501"]
    assert starts == [990_000 * 9]


@pytest.mark.parametrize("format", ["csv", "csv.gz", "tsv", "jsonl", "txt", "parquet"])
def test_an_index_from_a_known_row_is_the_end_of_the_whole_one(tmp_path: Path, format: str) -> None:
    path = write(tmp_path, format)
    whole = index_rows(path, SETTINGS, stride=5)
    start = whole.rows(41, 50).start
    rest = index_rows(path, SETTINGS, stride=5, start=start)
    assert rest.num_rows == 100
    assert rest.rows(61, 65) == whole.rows(61, 65)
    if start is not None:
        assert rest.first == 41
        assert rest.offsets.tolist() == whole.offsets.tolist()[8:]
        assert rest.rows(36, 45).start is None  # what stands before was not looked at


def test_reading_for_an_index_begins_at_the_known_row(tmp_path: Path) -> None:
    path = write(tmp_path, "jsonl")
    start = index_rows(path, SETTINGS, stride=5).rows(41, 50).start
    assert start is not None
    # Rows before the known one are taken for blank lines: only if they were read would they be missed.
    path.write_bytes(b"\n" * start.offset + path.read_bytes()[start.offset :])
    assert index_rows(path, SETTINGS, stride=5, start=start).num_rows == 100
    assert index_rows(path, SETTINGS, stride=5).num_rows == 60  # negative control


def test_row_groups_before_the_range_are_not_read(tmp_path: Path) -> None:
    path = write(tmp_path, "parquet")
    content = bytearray(path.read_bytes())
    place = content.index(b"row 1")
    content[place] ^= 1
    path.write_bytes(content)
    index = index_rows(path, SETTINGS)
    rows = list(read_records(path, SETTINGS, rows=index.rows(50, 51)))
    assert [row.number for row in rows] == [50, 51]


def test_counts_of_a_range_are_its_own(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"text,label\na,b\na\na,b\na\na,b\n")
    counts = ReadCounts()
    index = index_rows(path, SETTINGS)
    rows = list(read_records(path, SETTINGS, rows=index.rows(2, 3), counts=counts))
    assert [type(row) for row in rows] == [Reject, Record]
    assert counts == ReadCounts(rows=2, rejects=1)


def test_file_that_changed_since_it_was_indexed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(Path(), "csv")
    index = index_rows(path, SETTINGS)
    assert len(list(read_records(path, SETTINGS, rows=index.rows(1, 2)))) == 2
    os.utime(path, ns=(1, 1))
    with pytest.raises(InputError) as caught:
        list(read_records(path, SETTINGS, rows=index.rows(1, 2)))
    assert caught.value.problems == ("x.csv: changed while it was read. Run again when nothing writes to it.",)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"text,label\n", "x.csv: has no data rows."),
        ("x.jsonl", b"\n\n", "x.jsonl: has no data rows."),
        ("x.csv", b"label\na\n", "x.csv: no column 'text'; the columns are 'label'. Set data.text_column."),
    ],
)
def test_index_refuses_what_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        index_rows(Path(name), SETTINGS)
    assert caught.value.problems == (message,)
