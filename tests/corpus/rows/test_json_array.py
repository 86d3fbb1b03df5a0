"""Files that are one JSON array: each element is a row, whatever the blocks and the indentation are."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textlstm.corpus.rows.json_array import lines_of_array
from textlstm.corpus.rows.readers import index_rows, read_columns, read_records
from textlstm.corpus.rows.records import Record, Reject
from textlstm.corpus.rows.settings import ReadSettings
from textlstm.errors import InputError

SETTINGS = ReadSettings(need_labels=True)
ROWS = [{"text": 'a "quoted" [text], {really}\\', "label": "x"}, {"text": "b\nc", "label": "y", "tags": [1, {"a": []}]}]

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def lines(*blocks: bytes) -> list[bytes]:
    return list(lines_of_array(blocks, name="x.json", max_bytes=1_000))


@given(st.lists(VALUES, max_size=5), st.sampled_from([None, 2]), st.booleans(), st.integers(1, 7))
def test_elements_come_out_as_they_went_in(values: list[object], indent: int | None, ascii: bool, size: int) -> None:
    content = b"\xef\xbb\xbf\n " + json.dumps(values, indent=indent, ensure_ascii=ascii).encode() + b" \r\n"
    found = lines(*[content[start : start + size] for start in range(0, len(content), size)])
    assert [json.loads(line) for line in found] == values
    assert all(line.count(b"\n") == 1 for line in found)


def test_a_broken_element_is_a_line_of_its_own() -> None:
    assert lines(b'[{"a": 1}, {"a" 2}, nope,, {"a": 3},]') == [
        b'{"a": 1}\n', b'{"a" 2}\n', b"nope\n", b",\n", b'{"a": 3}\n', b",\n",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'[{"a": 1}, {"a"', "x.json: the JSON array is never closed; is the file whole?"),
        (
            b'[{"a": 1}]\n{"a": 2}',
            "x.json: something follows the JSON array. Write one object a line, as with `jq -c`.",
        ),
    ],
)
def test_half_an_array_and_more_than_one_are_refused(content: bytes, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        lines(content)
    assert caught.value.problems == (problem,)


def test_an_element_without_end_does_not_fill_the_memory() -> None:
    with pytest.raises(InputError) as caught:
        lines(b'[{"a": 1},', b"x" * 600, b"x" * 600)
    assert caught.value.problems == ("x.json: element 2 of the JSON array is longer than 0 MiB.",)


@pytest.mark.parametrize("name", ["x.json", "x.jsonl", "x.json.gz"])
@pytest.mark.parametrize("indent", [None, 4])
def test_a_file_of_one_array_is_read(name: str, indent: int | None) -> None:
    content = json.dumps(ROWS, indent=indent).encode()
    Path(name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    rows = [row for row in read_records(Path(name), SETTINGS) if isinstance(row, Record)]
    assert [(row.number, row.offset, row.fields["text"]) for row in rows] == [
        (1, -1, ROWS[0]["text"]),
        (2, -1, ROWS[1]["text"]),
    ]
    assert read_columns(Path(name), SETTINGS) == ("text", "label", "tags")
    index = index_rows(Path(name), SETTINGS, stride=1)
    assert (index.num_rows, len(index.offsets)) == (2, 0)
    [last] = read_records(Path(name), SETTINGS, rows=index.rows(2, 2))
    assert last.number == 2


def test_a_json_file_of_one_object_a_line_is_read_too() -> None:
    Path("x.json").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    assert [row.number for row in read_records(Path("x.json"), SETTINGS)] == [1, 2]


def test_elements_that_are_no_objects_are_rejected() -> None:
    Path("x.json").write_text('[{"text": "a", "label": "b"}, 7, ["text"]]')
    rejects = [row.reason for row in read_records(Path("x.json"), SETTINGS) if isinstance(row, Reject)]
    assert rejects == [
        "holds a number, not an object; write one JSON object a line",
        "holds a list, not an object; write one JSON object a line",
    ]


def test_an_empty_array_has_no_data_rows() -> None:
    Path("x.json").write_text("[ ]\n")
    with pytest.raises(InputError, match=r"^x\.json: has no data rows\.$"):
        list(read_records(Path("x.json"), SETTINGS))


def test_utf_16_arrays_are_read() -> None:
    Path("x.json").write_text(json.dumps(ROWS, ensure_ascii=False), encoding="utf-16")
    rows = list(read_records(Path("x.json"), ReadSettings(encoding="utf-16")))
    assert [row.fields["label"] for row in rows if isinstance(row, Record)] == ["x", "y"]
