"""CSV as Python's own csv module reads it, on random grammar and on real texts."""

import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from whole_files import open_writer

from textlstm.corpus.rows.readers import read_records
from textlstm.corpus.rows.records import Record, Reject
from textlstm.corpus.rows.settings import ReadSettings
from textlstm.errors import InputError

MANY = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def rows_or_refusal(path: Path) -> list[Record | Reject] | str:
    try:
        return list(read_records(path, ReadSettings()))
    except InputError as error:
        return str(error)


@MANY
@given(content=st.lists(st.sampled_from(["a", "b ", ",", '"', '""', "\n", "\r\n", '",', ',"', '"\n"'])).map("".join))
def test_rows_that_are_taken_are_those_of_the_csv_module(content: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(f"text,label\n{content}".encode())
    found = rows_or_refusal(path)
    try:
        expected = [row for row in csv.reader(io.StringIO(content, newline=""), strict=True) if row]
    except csv.Error:
        expected = None
    if isinstance(found, str):
        assert expected is None or not expected
        return
    rejects = [row for row in found if isinstance(row, Reject)]
    if expected is None:
        assert any("closing quote" in reject.reason for reject in rejects)
        return
    assert [len(row) for row in expected if len(row) != 2] == [int(reject.reason.split()[1]) for reject in rejects]
    assert [list(row.fields.values()) for row in found if isinstance(row, Record)] == [
        row for row in expected if len(row) == 2
    ]


@pytest.mark.long
@pytest.mark.parametrize("corpus", ["20ng", "imdb", "banking77", "germeval2018_coarse"])
@pytest.mark.parametrize("format", ["csv", "tsv", "jsonl", "parquet", "csv.gz", "jsonl.zst"])
def test_real_texts_come_back(corpora: Path, tmp_path: Path, corpus: str, format: str) -> None:
    with gzip.open(corpora / corpus / "train.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    path = tmp_path / f"x.{format}"
    with open_writer(path, columns=["text", "label"]) as writer:
        for row in rows:
            writer.write(row)
    found = [row.fields for row in read_records(path, ReadSettings()) if isinstance(row, Record)]
    assert found == [{"text": row["text"], "label": row["label"]} for row in rows]
    if format == "csv":
        with path.open(newline="", encoding="utf-8") as file:
            csv.field_size_limit(1 << 30)
            assert list(csv.DictReader(file)) == found
