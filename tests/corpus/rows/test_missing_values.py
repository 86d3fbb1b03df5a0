"""Missing values and values with names in typed columns: null, NaN, class numbers, maps, nanoseconds."""

import json
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from textlstm.corpus.rows.readers import read_columns, read_records
from textlstm.corpus.rows.records import Record
from textlstm.corpus.rows.settings import ColumnNames, ReadSettings
from textlstm.corpus.rows.values import cell_text, plain_value
from textlstm.corpus.sources.examples import Example, ExampleReader, text_problem, text_to_label
from textlstm.errors import InputError

LABELLED = ReadSettings(need_labels=True)
TO_LABEL = ReadSettings(key_prefix="labelling")
MULTI = ReadSettings(columns=ColumnNames(labels="labels"), need_labels=True)


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def examples(table: pa.Table, settings: ReadSettings = LABELLED) -> list[object]:
    """Return the labels of every example, and the reason of every reject."""
    pq.write_table(table, "x.parquet")
    read = ExampleReader(settings)
    found = [read(row) for row in read_records(Path("x.parquet"), settings) if isinstance(row, Record)]
    return [example.labels if isinstance(example, Example) else example.reason for example in found]


def features(table: pa.Table, **of_columns: object) -> pa.Table:
    """Return the table with the metadata that `datasets` writes."""
    info = json.dumps({"info": {"features": {"text": {"dtype": "string", "_type": "Value"}, **of_columns}}})
    return table.replace_schema_metadata({"huggingface": info})


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.float16()])
def test_nan_is_a_missing_label_and_no_class(kind: pa.DataType) -> None:
    table = pa.table({"text": ["a", "b", "c"], "label": pa.array([math.nan, 3.0, None], pa.float64()).cast(kind)})
    reason = "column 'label': the label is null"
    assert examples(table) == [reason, ("3.0",), reason]


def test_nan_is_a_missing_label_in_a_list_and_a_missing_id() -> None:
    table = pa.table({"text": ["a", "b"], "labels": [[1.0, math.nan], [2.0]], "key": [1.0, math.nan]})
    assert examples(table, MULTI) == [
        "column 'labels': one of the labels is empty, null or not a string",
        ("2.0",),
    ]
    by_key = ReadSettings(columns=ColumnNames(id="key"))
    assert examples(table, by_key) == [(), "column 'key': the id is null"]


def test_numbers_of_classes_have_the_names_that_datasets_notes() -> None:
    label = {"names": ["account", "billing"], "_type": "ClassLabel"}
    table = features(pa.table({"text": ["a", "b", "c"], "label": [1, 0, -1]}), label=label)
    assert examples(table) == [("billing",), ("account",), "column 'label': the label is null"]
    labels = {"feature": label, "_type": "Sequence"}
    several = features(pa.table({"text": ["a", "b"], "labels": [[1, 0], []]}), labels=labels)
    assert examples(several, MULTI) == [("billing", "account"), ()]


def test_numbers_without_names_stay_numbers_and_labelling_keeps_the_column_as_it_is() -> None:
    plain = pa.table({"text": ["a"], "label": [1]})
    assert examples(plain) == [("1",)]
    assert examples(plain.replace_schema_metadata({"huggingface": "{broken"})) == [("1",)]
    named = features(plain, label={"names": ["x", "y"], "_type": "ClassLabel"})
    pq.write_table(named, "x.parquet")
    [row] = read_records(Path("x.parquet"), TO_LABEL)
    assert row.fields == {"text": "a", "label": 1}


def test_nan_is_null_in_json_and_an_empty_cell() -> None:
    values = [math.nan, {"a": [math.nan, 1.5]}, pa.scalar(math.nan, pa.float16()), math.inf]
    assert [plain_value(value) for value in values] == [None, {"a": [None, 1.5]}, None, "inf"]
    assert [cell_text(value) for value in values] == ["", '{"a": [null, 1.5]}', "", "inf"]


def test_maps_are_objects_and_lists_of_pairs_where_a_key_stands_twice() -> None:
    kind = pa.map_(pa.string(), pa.int64())
    maps = pa.array([[("k", 1), ("l", None)], [("k", 1), ("k", 2)], [], None], kind)
    assert [plain_value(scalar) for scalar in maps] == [{"k": 1, "l": None}, [["k", 1], ["k", 2]], {}, None]
    nested = pa.array([[{"m": [("k", 1)]}]], pa.list_(pa.struct([("m", kind)])))
    assert cell_text(nested[0]) == '[{"m": {"k": 1}}]'
    numbered = pa.array([[(7, "a")]], pa.map_(pa.int64(), pa.string()))
    assert plain_value(numbered[0]) == {"7": "a"}
    twice = pa.StructArray.from_arrays([pa.array([1]), pa.array(["b"])], names=["a", "a"])
    assert plain_value(twice[0]) == [["a", 1], ["a", "b"]]


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (1, "00:00:00.000000001"),
        (1_123_456_789, "00:00:01.123456789"),
        (1_123_456_000, "00:00:01.123456"),
        (12_000_000_000, "00:00:12"),
    ],
)
def test_times_keep_their_nanoseconds(nanoseconds: int, text: str) -> None:
    times = pa.array([nanoseconds], pa.time64("ns"))
    assert cell_text(times[0]) == text
    assert plain_value(pa.array([[nanoseconds]], pa.list_(pa.time64("ns")))[0]) == [text]


def test_a_text_that_is_null_or_not_there_is_an_empty_one_to_label() -> None:
    Path("x.jsonl").write_text('{"text": "a"}\n{"text": null}\n{"n": 1}\n{"text": 7}\n')
    rows = [row for row in read_records(Path("x.jsonl"), TO_LABEL) if isinstance(row, Record)]
    assert [text_problem(row, TO_LABEL) for row in rows] == [
        "",
        "",
        "",
        "column 'text': the text is a number, not a string",
    ]
    assert [text_to_label(row, "text") for row in rows] == ["a", "", "", ""]


def test_a_column_that_stands_twice_in_parquet_is_refused() -> None:
    columns = [pa.array(["a"]), pa.array(["b"])]
    pq.write_table(pa.Table.from_arrays(columns, names=["text", "text"]), "x.parquet")
    with pytest.raises(InputError) as caught:
        read_columns(Path("x.parquet"), TO_LABEL)
    assert caught.value.problems == (
        "x.parquet: the header has the column 'text' twice, as fields 1 and 2. Rename one.",
    )
    pq.write_table(pa.Table.from_arrays(columns, names=["text", "other"]), "y.parquet")
    assert read_columns(Path("y.parquet"), TO_LABEL) == ("text", "other")
