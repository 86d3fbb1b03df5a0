"""What is written is read back as it was: random rows through every format and packing."""

import io
import json
import tempfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from whole_files import open_writer

from textlstm.config import FileFormat
from textlstm.corpus.rows.readers import index_rows, read_records
from textlstm.corpus.rows.records import Record, Reject
from textlstm.corpus.rows.settings import ColumnNames, ReadSettings
from textlstm.corpus.rows.values import JsonNumber, dump_object, parse_object
from textlstm.corpus.rows.writers import record_writer
from textlstm.errors import InputError

CASES = 50
LONG_CASES = 1_000
FORMATS = ["csv", "tsv", "jsonl", "parquet", "csv.gz", "tsv.zst", "jsonl.gz"]

cells = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
    st.text(st.sampled_from("ab,;\t\"'\r\n\\ \ufeff\u2028\x85=é😀"), max_size=12),
)
names = st.one_of(st.sampled_from(["text", "label", "id", "", " ", "\ufefftext", '"', "a,b", "a\nb"]), cells)


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, str]]:
    """Rows of strings under the column `text` and up to three others."""
    others = draw(st.lists(names.filter(lambda name: name != "text"), unique=True, max_size=3))
    columns = draw(st.permutations(["text", *others]))
    rows = draw(st.lists(st.lists(cells, min_size=len(columns), max_size=len(columns)), min_size=1, max_size=8))
    return [dict(zip(columns, row, strict=True)) for row in rows]


numbers = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["0", "-0", "1.0", "1.50", "1e5", "1E+05", "123456789012345678901234567890", "-0.0e-10"]),
).map(JsonNumber)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), cells, numbers),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(cells, inner, max_size=3)),
    max_leaves=8,
)


def check_table(rows: list[dict[str, str]], format: str, directory: Path) -> None:
    path = directory / f"rows.{format}"
    with open_writer(path, columns=list(rows[0])) as writer:
        for row in rows:
            writer.write(row)
    once = path.read_bytes()
    found = list(read_records(path, ReadSettings()))
    assert [dict(row.fields) if isinstance(row, Record) else row for row in found] == rows
    assert [list(row.fields) for row in found if isinstance(row, Record)] == [list(row) for row in rows]
    assert [row.number for row in found] == list(range(1, len(rows) + 1))
    index = index_rows(path, ReadSettings(), stride=2)
    assert index.num_rows == len(rows)
    for first in range(1, len(rows) + 1):
        assert (
            list(read_records(path, ReadSettings(), rows=index.rows(first, first + 1))) == found[first - 1 : first + 1]
        )
    with open_writer(path, columns=list(rows[0])) as writer:
        for row in found:
            assert isinstance(row, Record)
            writer.write(row.fields)
    assert path.read_bytes() == once


def many(count: int) -> settings:
    return settings(
        max_examples=count,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@pytest.mark.parametrize("format", FORMATS)
@many(CASES)
@given(rows=tables())
def test_tables_of_strings_come_back(rows: list[dict[str, str]], format: str, tmp_path: Path) -> None:
    check_table(rows, format, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("format", FORMATS)
@many(LONG_CASES)
@given(rows=tables())
def test_many_tables_of_strings_come_back(rows: list[dict[str, str]], format: str, tmp_path: Path) -> None:
    check_table(rows, format, tmp_path)


def check_objects(rows: list[dict[str, object]], path: Path) -> None:
    with open_writer(path) as writer:
        for row in rows:
            writer.write(row)
    found = list(read_records(path, ReadSettings(columns=ColumnNames(text=next(iter(rows[0]))))))
    assert [dict(row.fields) if isinstance(row, Record) else row for row in found] == rows
    assert all(json.loads(line) is not None for line in path.read_text("utf-8").split("\n")[:-1])


@many(CASES)
@given(rows=st.lists(st.dictionaries(cells, json_values, min_size=1, max_size=4), min_size=1, max_size=5))
def test_json_rows_of_any_shape_come_back(rows: list[dict[str, object]], tmp_path: Path) -> None:
    check_objects(rows, tmp_path / "rows.jsonl")


@pytest.mark.long
@many(LONG_CASES)
@given(rows=st.lists(st.dictionaries(cells, json_values, min_size=1, max_size=4), min_size=1, max_size=5))
def test_many_json_rows_of_any_shape_come_back(rows: list[dict[str, object]], tmp_path: Path) -> None:
    check_objects(rows, tmp_path / "rows.jsonl")


@many(CASES)
@given(texts=st.lists(cells.filter(lambda text: "\n" not in text and not text.endswith("\r")), min_size=1, max_size=8))
def test_lines_of_text_come_back(texts: list[str], tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    with open_writer(path, columns=["text"]) as writer:
        for text in texts:
            writer.write({"text": text})
    rows = list(read_records(path, ReadSettings()))
    assert [row.fields["text"] if isinstance(row, Record) else row for row in rows] == texts


@many(200)
@given(content=st.binary(max_size=200), format=st.sampled_from(["csv", "tsv", "jsonl", "txt"]))
def test_any_bytes_are_rows_or_rejects_or_refused(content: bytes, format: str, tmp_path: Path) -> None:
    check_any_bytes(content, format, tmp_path)


@pytest.mark.long
@many(LONG_CASES)
@given(
    content=st.lists(
        st.sampled_from(
            [b"a", b",", b"\t", b'"', b'""', b"\r", b"\n", b"\xe9", b"\0", b"{", b"}", b":", b"[", b"1", b"\\"]
        )
    ).map(b"".join),
    format=st.sampled_from(["csv", "tsv", "jsonl", "txt"]),
)
def test_many_grammar_bytes_are_rows_or_rejects_or_refused(content: bytes, format: str, tmp_path: Path) -> None:
    check_any_bytes(content, format, tmp_path)


def rows_unless_refused(path: Path) -> list[Record | Reject] | None:
    try:
        return list(read_records(path, ReadSettings()))
    except InputError:
        return None


def check_any_bytes(content: bytes, format: str, directory: Path) -> None:
    path = directory / f"rows.{format}"
    path.write_bytes((b"text\n" if format in ("csv", "tsv") else b"") + content)
    rows = rows_unless_refused(path)
    if rows is None:
        return
    starts = [row.offset for row in rows]
    assert starts == sorted(set(starts))
    assert index_rows(path, ReadSettings(), stride=1).offsets.tolist() == starts
    if format == "txt":
        assert len(rows) == content.count(b"\n") + (not content.endswith(b"\n"))


def test_the_check_notices_a_writer_that_does_not_quote(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"text,label\na,b,c\n")
    rows = list(read_records(path, ReadSettings()))
    assert rows != [Record(str(path), 1, 11, {"text": "a,b", "label": "c"})]


def test_parquet_columns_of_every_type_come_back() -> None:
    table = pa.table(
        {
            "text": ["a", None, "c"],
            "small": pa.array([1, None, 3], pa.int8()),
            "single": pa.array([0.1, None, float("inf")], pa.float32()),
            "flag": [True, False, None],
            "nanoseconds": pa.array([1, None, 1_700_000_000_123_456_789], pa.timestamp("ns", "UTC")),
            "day": pa.array([date(2024, 1, 2), None, date(1, 1, 1)]),
            "decimal": pa.array([Decimal("1.50"), None, Decimal("-2.00")], pa.decimal128(10, 2)),
            "bytes": [b"\0\xff", b"", None],
            "list": [["x", None], [], None],
            "struct": [{"a": 1}, None, {"a": None}],
            "dictionary": pa.array(["x", "y", None]).dictionary_encode(),
            "moment": pa.array([datetime(2024, 1, 2, tzinfo=UTC), None, None]),
        }
    )
    source = io.BytesIO()
    pq.write_table(table, source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("textlstm.corpus.rows.parquet.ROW_GROUP_ROWS", 2)
        back, _ = _copy_parquet(source.getvalue(), table.schema)
    assert back.schema == table.schema
    assert [name for name in table.column_names if back[name].to_pylist() != table[name].to_pylist()] == []


def _copy_parquet(content: bytes, schema: pa.Schema) -> tuple[pa.Table, bytes]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "x.parquet"
        path.write_bytes(content)
        rows = [row for row in read_records(path, ReadSettings()) if isinstance(row, Record)]
    stream = io.BytesIO()
    writer = record_writer(stream, FileFormat.parquet, schema=schema)
    for row in rows:
        writer.write(row.fields)
    writer.close()
    return pq.read_table(io.BytesIO(stream.getvalue())), stream.getvalue()


def test_numbers_keep_their_source_text() -> None:
    line = '{"a": 1.0, "b": [1e5, 1E+05, -0, 123456789012345678901234567890], "c": {"d": 0.10}}'
    assert dump_object(parse_object(line)) == line
