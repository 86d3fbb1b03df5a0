"""Exports of other tools: read where nothing must be guessed, and said; else the message names the setting."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from textlstm.config import DataConfig, DataSource, TextConfig
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.corpus.rows.records import Reject
from textlstm.corpus.sources.examples import Example
from textlstm.corpus.sources.sources import open_sources


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(name: str, content: str = "", **settings: object) -> tuple[list[object], tuple[str, ...]]:
    """Return labels or reason of every row, and what was said about the file."""
    if content:
        Path(name).write_text(content)
    [source] = open_sources(DataConfig(source=DataSource.files, train=[name], **settings))  # type: ignore[arg-type]
    rows = [row.labels if isinstance(row, Example) else row.reason for row in source.examples()]
    return rows, source.notes_of_reading()


def jsonl(*labels: object, column: str = "label") -> str:
    return "".join(json.dumps({"text": "a", column: label}) + "\n" for label in labels)


def test_doccanos_lists_of_one_label_are_that_label() -> None:
    rows, notes = read("x.jsonl", jsonl(["pos"], ["neg"], [], ["pos", "neg"], [["span"]], "pos"))
    assert rows == [
        ("pos",),
        ("neg",),
        "column 'label': the label is null",
        "column 'label': 2 labels; set data.labels_column=label for several a row",
        "column 'label': the label is a list",
        ("pos",),
    ]
    assert notes == ("x.jsonl: column 'label': a list of one label counts as that label",)
    pq.write_table(pa.table({"text": ["a"], "label": [["pos"]]}), "x.parquet")
    assert read("x.parquet")[0] == [("pos",)]


def test_labels_that_are_no_lists_are_read_without_a_word() -> None:
    assert read("x.jsonl", jsonl("pos", 1)) == ([("pos",), ("1",)], ())
    assert read("x.csv", 'text,label\na,[x]\nb,"[""x""]"\n') == ([("[x]",), ('["x"]',)], ())


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("['joy', 'anger']", ("joy", "anger")),
        ("[]", ()),
        ('["it\'s", \'a, "b"\']', ("it's", 'a, "b"')),
        ("['caf\\xe9', 'a\\\\b',]", ("café", "a\\b")),
        ('["joy"]', ("joy",)),
    ],
)
def test_lists_that_pandas_wrote_into_cells_are_read(cell: str, labels: tuple[str, ...]) -> None:
    quoted = cell.replace('"', '""')
    rows, notes = read("x.csv", f'text,tags\na,"{quoted}"\n', labels_column="tags")
    assert rows == [labels]
    is_json = cell in ("[]", '["joy"]')
    assert notes == (() if is_json else ("x.csv: column 'tags': lists as Python writes them are read",))


@pytest.mark.parametrize(
    "cell",
    ["['joy' 'anger']", "[joy, anger]", "('joy',)", "['joy'] + ['anger']", "[__import__('os')]", "['joy", "[1]+[2]"],
)
def test_cells_that_only_look_like_lists_name_the_setting(cell: str) -> None:
    rows, notes = read("x.csv", f'text,tags\na,"{cell}"\n', labels_column="tags")
    assert rows == [
        "column 'tags': the labels are not a JSON list; set data.label_separator if they are separated text"
    ]
    assert notes == ()


def test_label_studios_json_is_read() -> None:
    rows = [{"id": 0, "text": "a", "sentiment": "pos"}, {"id": 1, "text": "b", "sentiment": "neg"}]
    found = read("x.json", json.dumps(rows, indent=2), label_column="sentiment")
    assert found == ([("pos",), ("neg",)], ("x.json: is one JSON array; each of its elements is a row",))


def test_excels_files_are_read() -> None:
    rows, notes = read("x.csv", "sep=;\ntext;label;;\na,b;pos;;\n")
    assert rows == [("pos",)]
    assert notes == (
        "x.csv: read with semicolons between its cells",
        "x.csv: columns without a name are called unnamed_4",
    )
    assert read("y.csv", "text\tlabel\na\tpos\n") == ([("pos",)], ("y.csv: read with tabs between its cells",))


def test_what_was_read_otherwise_is_a_warning_of_the_prepared_corpus(tmp_path: Path) -> None:
    rows = "".join(f"row {n} of a file;{'ab'[n % 2]}\n" for n in range(60))
    Path("x.csv").write_text(f"text;label\n{rows}")
    data = DataConfig(source=DataSource.files, train=["x.csv"])
    corpus = prepare_corpus(data, TextConfig(pos=False), prepared_dir=tmp_path / "prepared", num_workers=1)
    assert corpus.warnings[0] == "x.csv: read with semicolons between its cells"
    assert corpus.labels == ("a", "b")


def test_a_list_is_no_label_where_the_column_holds_several(tmp_path: Path) -> None:
    rows, notes = read("x.jsonl", jsonl(["pos", "neg"], "pos", column="tags"), labels_column="tags")
    assert rows[0] == ("pos", "neg")
    assert isinstance(rows[1], str)
    assert not isinstance(rows[1], Reject)
    assert notes == ()
