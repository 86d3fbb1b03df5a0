"""Paths, globs, folders and standard input become a list of files."""

from pathlib import Path

import pytest

from textlstm.corpus.rows.inputs import clash_problems, expand_inputs
from textlstm.corpus.rows.readers import index_rows, read_columns, read_records
from textlstm.corpus.rows.records import Record, Reject
from textlstm.corpus.rows.settings import STDIN, ColumnNames, ReadSettings
from textlstm.errors import InputError


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(f"text of {name}".encode())


def problems(*patterns: str) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        expand_inputs(patterns)
    return caught.value.problems


def test_files_and_globs_keep_the_given_order_and_globs_are_sorted() -> None:
    write("b.csv", "a.csv", "c/d.csv", "c/e.csv.gz", "odd[1].csv")
    assert expand_inputs(["odd[1].csv", "c/*", "?.csv"]) == [
        Path(name) for name in ("odd[1].csv", "c/d.csv", "c/e.csv.gz", "a.csv", "b.csv")
    ]


def test_folder_stands_for_its_data_files() -> None:
    write("in/b.jsonl", "in/a.jsonl.zst", "in/.hidden.jsonl", "in/README.md")
    assert expand_inputs(["in"]) == [Path("in/a.jsonl.zst"), Path("in/b.jsonl")]


def test_folder_of_class_folders_stands_for_itself() -> None:
    write("news/sport/1.txt", "news/tech/1.txt")
    assert expand_inputs(["news"]) == [Path("news")]


def test_empty_folder_and_mixed_stdin() -> None:
    Path("empty").mkdir()
    write("a.csv")
    assert problems("empty", "-", "a.csv") == (
        "empty: holds no data files and no class folders.",
        "-: standard input cannot be mixed with files.",
    )
    assert expand_inputs(["-"]) == [STDIN]


def test_a_link_to_a_file_given_before_is_the_same_file() -> None:
    write("a.csv")
    Path("b.csv").symlink_to("a.csv")
    assert problems("a.csv", "b.csv") == ("b.csv: is given twice; it is the same file as a.csv.",)


def test_folder_and_file_are_mixed_formats() -> None:
    write("news/sport/1.txt", "a.csv")
    assert problems("news", "a.csv") == (
        "the inputs have mixed formats: folder (news), csv (a.csv). Give files of one format.",
    )


def test_class_folders_are_read_in_order_with_label_and_path() -> None:
    write("news/tech/2.txt", "news/sport/10.txt", "news/sport/9.txt", "news/.git/x", "news/sport/.x")
    Path("news/tech/1.txt").write_bytes(b"\xef\xbb\xbfcaf\xc3\xa9\r\n\n")
    Path("news/tech/3.txt").write_bytes(b"caf\xe9")
    settings = ReadSettings(need_labels=True)
    rows = list(read_records(Path("news"), settings))
    assert [tuple(row.fields.values()) if isinstance(row, Record) else row for row in rows] == [
        ("text of news/sport/10.txt", "sport", "sport/10.txt"),
        ("text of news/sport/9.txt", "sport", "sport/9.txt"),
        ("café\r\n\n", "tech", "tech/1.txt"),
        ("text of news/tech/2.txt", "tech", "tech/2.txt"),
        Reject("news", 5, 0, "tech/3.txt is not valid utf-8: byte 0xE9 at byte offset 3"),
    ]
    assert read_columns(Path("news"), settings) == ("text", "label", "path")
    index = index_rows(Path("news"), settings)
    assert list(read_records(Path("news"), settings, rows=index.rows(2, 3))) == rows[1:3]


def test_class_folder_with_a_file_that_is_too_long_or_binary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textlstm.corpus.rows.class_folders.MAX_ROW_BYTES", 1 << 20)
    write("news/sport/3.txt")
    Path("news/sport/1.txt").write_bytes(b"x" * ((1 << 20) + 1))
    Path("news/sport/2.txt").write_bytes(b"a\0b")
    rows = list(read_records(Path("news"), ReadSettings()))
    assert rows[:2] == [
        Reject("news", 1, 0, "sport/1.txt is longer than 1 MiB"),
        Reject("news", 2, 0, "sport/2.txt holds a NUL byte"),
    ]
    assert isinstance(rows[2], Record)


def test_class_folder_has_one_label_a_text_and_no_ids() -> None:
    write("news/sport/1.txt")
    settings = ReadSettings(columns=ColumnNames(labels="tags", id="key"), need_labels=True)
    with pytest.raises(InputError) as caught:
        list(read_records(Path("news"), settings))
    assert caught.value.problems == (
        "news: no column 'tags'; the columns are 'text', 'label', 'path'. Set data.labels_column.",
        "news: no column 'key'; the columns are 'text', 'label', 'path'. Set data.id_column.",
    )


def test_class_folder_with_a_folder_inside() -> None:
    write("news/sport/old/1.txt", "news/sport/1.txt")
    with pytest.raises(InputError) as caught:
        list(read_records(Path("news"), ReadSettings()))
    assert caught.value.problems == (
        "news/sport/old: is a folder inside of a class folder; only files are read there.",
    )


def test_74_input_column_with_the_name_of_an_added_one() -> None:
    columns = ("text", "probability", "decision")
    assert clash_problems(columns, ["predicted_label", "probability", "decision"], name="x.csv") == [
        "x.csv: the input has a column 'probability' already, which labelling adds. "
        "Rename it, or set another name in labelling.*_name.",
        "x.csv: the input has a column 'decision' already, which labelling adds. "
        "Rename it, or set another name in labelling.*_name.",
    ]
    assert clash_problems(columns, ["predicted_label"], name="x.csv") == []


def test_a_device_is_no_input() -> None:
    """/dev/zero was read for ever (found by the fuzz of commands)."""
    with pytest.raises(InputError) as caught:
        expand_inputs(["/dev/zero"])
    assert caught.value.problems == ("/dev/zero: is a device and no file; name a file, or - for standard input.",)
