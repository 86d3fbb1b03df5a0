"""Rows that are rejected, and odd rows that are kept verbatim. Numbers are those of docs/bad-input.md."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from textlstm.corpus.rows.lines import ReadCounts
from textlstm.corpus.rows.readers import read_records
from textlstm.corpus.rows.records import Record, Reject, RejectCount
from textlstm.corpus.rows.settings import ColumnNames, ReadSettings
from textlstm.corpus.rows.values import JsonNumber
from textlstm.corpus.sources.examples import Example, ExampleReader, text_problem, text_to_label
from textlstm.errors import InputError

LABELLED = ReadSettings(need_labels=True)
TO_LABEL = ReadSettings(key_prefix="labelling")
MULTI = ReadSettings(columns=ColumnNames(labels="labels"), need_labels=True)


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(name: str, content: bytes, settings: ReadSettings = LABELLED) -> list[object]:
    """Return the fields of every record, and row, offset and reason of every reject."""
    Path(name).write_bytes(content)
    rows = read_records(Path(name), settings)
    return [dict(row.fields) if isinstance(row, Record) else (row.number, row.offset, row.reason) for row in rows]


def examples(name: str, content: bytes, settings: ReadSettings = LABELLED) -> list[object]:
    """Return text and labels of every example, and row and reason of every reject."""
    Path(name).write_bytes(content)
    interpret = ExampleReader(settings)
    found: list[object] = []
    for row in read_records(Path(name), settings):
        example = interpret(row) if isinstance(row, Record) else row
        if isinstance(example, Example):
            found.append((example.text, *example.labels))
        else:
            assert isinstance(example, Reject)
            found.append(f"{example.file}:{example.number}: {example.reason}")
    return found


def test_06_one_latin_1_byte_late_is_rejected_with_its_offset() -> None:
    content = b"text,label\n" + b"good film,pos\n" * 100 + b"caf\xe9 film,pos\n" + b"bad film,neg\n"
    rows = read("x.csv", content)
    assert rows[100] == (101, 1411, "is not valid utf-8: byte 0xE9 at byte offset 1414")
    assert content[1414:1415] == b"\xe9"
    assert rows[101] == {"text": "bad film", "label": "neg"}
    jsonl = b'{"text": "a"}\n{"text": "caf\xe9"}\n'
    assert read("x.jsonl", jsonl, TO_LABEL)[1] == (2, 14, "is not valid utf-8: byte 0xE9 at byte offset 27")
    assert read("x.txt", b"a\ncaf\xe9\n", TO_LABEL)[1] == (2, 2, "is not valid utf-8: byte 0xE9 at byte offset 5")


def test_06_the_same_bytes_are_text_in_their_own_encoding() -> None:
    settings = ReadSettings(encoding="latin-1", need_labels=True)
    assert read("x.csv", b"text,label\ncaf\xe9,pos\n", settings) == [{"text": "café", "label": "pos"}]


def test_07_file_in_cp1252_is_refused_by_rate_with_a_hint() -> None:
    content = "text,label\n".encode("cp1252") + "café “bar”,pos\n".encode("cp1252") * 3 + b"good film,pos\n"
    Path("x.csv").write_bytes(content)
    count = RejectCount()
    for row in read_records(Path("x.csv"), LABELLED):
        count.num_rows += 1
        if isinstance(row, Reject):
            count.add(row)
    assert count.problems(LABELLED, name="x.csv") == [
        "x.csv: 3 of 4 rows cannot be used; data.max_reject_fraction=0.01 allows 0. "
        "Mend the rows or raise data.max_reject_fraction.",
        "x.csv: most of them are not utf-8 text. Is the file cp1252 (Windows) or latin-1? Set data.encoding=cp1252.",
        "x.csv:1: is not valid utf-8: byte 0xE9 at byte offset 14",
        "x.csv:2: is not valid utf-8: byte 0xE9 at byte offset 29",
        "x.csv:3: is not valid utf-8: byte 0xE9 at byte offset 44",
    ]
    with pytest.raises(InputError, match="3 of 4 rows cannot be used"):
        count.check(LABELLED, name="x.csv")
    assert count.problems(ReadSettings(max_reject_fraction=0.75), name="x.csv") == []


def test_09_nul_byte_is_rejected() -> None:
    assert read("x.csv", b"text,label\ngo\0od,pos\nbad,neg\n") == [
        (1, 11, "holds a NUL byte"),
        {"text": "bad", "label": "neg"},
    ]
    assert read("x.txt", b"go\0od\nbad\n", TO_LABEL) == [(1, 0, "holds a NUL byte"), {"text": "bad"}]
    assert read("x.jsonl", b'{"text": "go\\u0000od"}\n{"text": "a\0b"}\n', TO_LABEL) == [
        (1, 0, "holds a NUL character"),
        (2, 23, "not valid JSON: Invalid control character at character 12"),
    ]


def test_10_lone_surrogate_is_rejected_and_a_pair_is_not() -> None:
    content = b'{"text": "\\ud83d"}\n{"text": "\\ud83d\\ude00"}\n{"te\\udc00xt": ["x"], "text": "a"}\n'
    assert read("x.jsonl", content, TO_LABEL) == [
        (1, 0, "holds a lone surrogate (half of a UTF-16 pair)"),
        {"text": "😀"},
        (3, 44, "holds a lone surrogate (half of a UTF-16 pair)"),
    ]
    assert read("x.txt", b"\xed\xa0\xbd\n", TO_LABEL) == [(1, 0, "is not valid utf-8: byte 0xED at byte offset 0")]


def test_11_unicode_line_separators_do_not_end_a_row() -> None:
    text = "one\u2028two\u2029three\x85four\x0bfive\x0csix\x1cseven"
    assert read("x.jsonl", json.dumps({"text": text}, ensure_ascii=False).encode(), TO_LABEL) == [{"text": text}]
    assert read("x.csv", f"text,label\n{text},pos\n".encode()) == [{"text": text, "label": "pos"}]
    assert read("x.txt", text.encode(), TO_LABEL) == [{"text": text}]


def test_12_quoted_line_ends_are_kept() -> None:
    content = b'text,label\r\n"one\ntwo\r\nthree",pos\r\n"",neg\r\n'
    assert read("x.csv", content) == [{"text": "one\ntwo\r\nthree", "label": "pos"}, {"text": "", "label": "neg"}]


def test_13_bare_carriage_return_in_a_cell_is_kept() -> None:
    assert read("x.csv", b'text,label\none\rtwo,pos\n"three\r",neg\r\n') == [
        {"text": "one\rtwo", "label": "pos"},
        {"text": "three\r", "label": "neg"},
    ]


def test_14_no_final_newline() -> None:
    assert read("x.csv", b"text,label\ngood,pos") == [{"text": "good", "label": "pos"}]
    assert read("x.txt", b"one\ntwo", TO_LABEL) == [{"text": "one"}, {"text": "two"}]
    assert read("x.jsonl", b'{"text": "one"}', TO_LABEL) == [{"text": "one"}]


def test_16_characters_after_a_closing_quote() -> None:
    content = b'text,label\n"good" film,pos\nbad "film",neg\n"one\ntwo" three,pos\n"""fine""",pos\n'
    assert read("x.csv", content) == [
        (1, 11, "has characters after a closing quote"),
        {"text": 'bad "film"', "label": "neg"},
        (3, 42, "has characters after a closing quote; the row spreads over 2 lines"),
        {"text": '"fine"', "label": "pos"},
    ]


def test_17_18_19_rows_of_another_width_are_rejected_and_never_shifted() -> None:
    content = b"text,label\ngood,very,pos\nbad,neg\nbad,too,neg\nalone\n\nfine,pos\n"
    assert read("x.csv", content) == [
        (1, 11, "has 3 fields where the header has 2"),
        {"text": "bad", "label": "neg"},
        (3, 33, "has 3 fields where the header has 2"),
        (4, 45, "has 1 fields where the header has 2"),
        {"text": "fine", "label": "pos"},
    ]


def test_27_28_texts_over_the_limit_are_rejected_with_their_length() -> None:
    long = b"x" * 5_000_000
    content = b"text,label\n" + long + b",pos\n" + long[:1_000_000] + b",pos\n" + long[:1_000_001] + b",pos\n"
    found = examples("x.csv", content)
    limit = "at most data.max_chars=1,000,000 are allowed"
    assert found[0] == f"x.csv:1: column 'text': 5,000,000 characters; {limit}"
    assert found[1] == ("x" * 1_000_000, "pos")
    assert found[2] == f"x.csv:3: column 'text': 1,000,001 characters; {limit}"


@pytest.mark.parametrize(
    "text", ["NA", "None", "null", "nan", "00123", "1e5", "1.0", "2024-01-02", "TRUE", "-", "  a "]
)
def test_31_36_37_40_cells_that_look_like_something_else_are_literal(text: str) -> None:
    expected: list[object] = [(text, text)]
    assert examples("x.csv", f"text,label\n{text},{text}\n".encode()) == expected
    assert examples("x.tsv", f"text\tlabel\n{text}\t{text}\n".encode()) == expected
    assert examples("x.jsonl", json.dumps({"text": text, "label": text}).encode()) == expected
    assert examples("x.txt", f"{text}\n".encode(), TO_LABEL) == [(text,)]


@pytest.mark.parametrize("text", ["", " ", "\t \u3000\xa0", "\u200b\u200d\ufeff", " \u2060 \u00ad"])
def test_32_33_empty_texts_are_rejected_for_training_and_kept_for_labelling(text: str) -> None:
    content = f"id,text,label\n1,{text},pos\n".encode()
    assert examples("x.csv", content) == ["x.csv:1: column 'text': the text is empty or only white space"]
    [row] = read_records(Path("x.csv"), TO_LABEL)
    assert isinstance(row, Record)
    assert (text_problem(row, TO_LABEL), text_to_label(row, "text")) == ("", text)


def test_35_a_text_of_an_address_or_punctuation_is_an_example() -> None:
    assert examples("x.csv", b"text,label\nhttps://example.org,pos\n...!,neg\n") == [
        ("https://example.org", "pos"),
        ("...!", "neg"),
    ]


def test_38_39_texts_that_are_no_strings_are_rejected() -> None:
    values = ["null", "7", "true", '["a"]', '{"a": 1}', '"fine"']
    content = "".join(f'{{"text": {value}, "label": "pos"}}\n' for value in values) + '{"label": "pos"}\n'
    text = "column 'text': the text is"
    assert examples("x.jsonl", content.encode()) == [
        f"x.jsonl:1: {text} null, not a string",
        f"x.jsonl:2: {text} a number, not a string",
        f"x.jsonl:3: {text} true or false, not a string",
        f"x.jsonl:4: {text} a list, not a string",
        f"x.jsonl:5: {text} an object, not a string",
        ("fine", "pos"),
        "x.jsonl:7: column 'text' is missing in this row",
    ]


def test_38_null_text_in_parquet_is_rejected() -> None:
    pq.write_table(pa.table({"text": ["fine", None], "label": ["pos", "neg"]}), "x.parquet")
    interpret = ExampleReader(LABELLED)
    rows = [interpret(row) for row in read_records(Path("x.parquet"), LABELLED) if isinstance(row, Record)]
    assert rows[1] == Reject("x.parquet", 2, -1, "column 'text': the text is null, not a string")


def test_41_empty_label_is_rejected_for_training_and_ignored_for_labelling() -> None:
    content = b"text,label\ngood,\n"
    assert examples("x.csv", content) == ["x.csv:1: column 'label': the label is empty"]
    assert examples("x.csv", content, TO_LABEL) == [("good",)]
    content = b'{"text": "good", "label": null}\n{"text": "bad", "label": "neg"}\n'
    assert examples("x.jsonl", content)[0] == "x.jsonl:1: column 'label': the label is null"
    assert examples("x.jsonl", content, TO_LABEL) == [("good",), ("bad", "neg")]


def test_42_43_65_labels_of_any_scalar_type_are_strings_as_they_are_written() -> None:
    values = ["1", '"1"', "1.0", '"01"', "1e0", "true", "false", '"true"', "-0"]
    content = "".join(f'{{"text": "a", "label": {value}}}\n' for value in values)
    labels = [found[1] for found in examples("x.jsonl", content.encode())]
    assert labels == ["1", "1", "1.0", "01", "1e0", "true", "false", "true", "-0"]


def test_47_labels_with_punctuation_are_literal() -> None:
    assert examples("x.csv", b"text,label\na,a/b\nb,[x]\nc,../\n") == [("a", "a/b"), ("b", "[x]"), ("c", "../")]


def test_58_broken_json_lines_are_rejected_with_the_place() -> None:
    content = b'{"text": "good"}\n{"text": "ba\n"just text"\nnope\n[1]\n{"text": "fine"} x\n'
    assert read("x.jsonl", content, TO_LABEL) == [
        {"text": "good"},
        (2, 17, "not valid JSON: Unterminated string starting at character 10"),
        (3, 30, "holds a string, not an object; write one JSON object a line"),
        (4, 42, "not valid JSON: Expecting value at character 1"),
        (5, 47, "holds a list, not an object; write one JSON object a line"),
        (6, 51, "not valid JSON: Extra data at character 18"),
    ]


def test_59_blank_json_lines_are_counted_and_are_no_rows() -> None:
    content = b'\n{"text": "good"}\n  \t\r\n\n{"text": "bad"}\n\n'
    Path("x.jsonl").write_bytes(content)
    counts = ReadCounts()
    rows = list(read_records(Path("x.jsonl"), TO_LABEL, counts=counts))
    assert [(row.number, row.offset) for row in rows] == [(1, 1), (2, 24)]
    assert counts == ReadCounts(rows=2, rejects=0, blank_lines=4)


def test_61_duplicate_keys_are_rejected_at_any_depth() -> None:
    content = b'{"text": "a", "text": "b"}\n{"text": "a", "x": [{"y": 1, "y": 1}]}\n{"text": "a", "x": {"text": 1}}\n'
    assert read("x.jsonl", content, TO_LABEL) == [
        (1, 0, "has the key 'text' twice"),
        (2, 27, "has the key 'y' twice"),
        {"text": "a", "x": {"text": JsonNumber("1")}},
    ]


def test_62_nan_huge_numbers_and_deep_nesting_are_rejected() -> None:
    number = "9" * 5000
    lines = [
        '{"text": "a", "x": NaN}',
        '{"text": "a", "x": [-Infinity]}',
        f'{{"text": "a", "x": {number}}}',
        f'{{"text": "a", "x": 0.{number}}}',
        '{"text": "a", "x": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"text": "a", "x": ' + "[" * 64 + "]" * 64 + "}",
        '{"text": "a", "x": ' + "[" * 63 + "]" * 63 + "}",
        '{"text": "' + "[" * 1000 + '"}',
    ]
    found = read("x.jsonl", "\n".join(lines).encode(), TO_LABEL)
    reasons = [row[2] for row in found[:6] if isinstance(row, tuple)]
    assert reasons == [
        "holds NaN, which is not JSON",
        "holds -Infinity, which is not JSON",
        "holds a number of 5,000 characters; at most 1,000 are allowed",
        "holds a number of 5,002 characters; at most 1,000 are allowed",
        "is nested more than 64 levels deep",
        "is nested more than 64 levels deep",
    ]
    assert len(found) == 8
    assert all(isinstance(row, dict) for row in found[6:])


def test_63_new_keys_and_other_types_in_late_rows_are_carried() -> None:
    content = b'{"text": "a", "n": 1}\n{"text": "b", "n": "one", "new": null}\n{"n": [1.50], "text": "c"}\n'
    assert read("x.jsonl", content, TO_LABEL) == [
        {"text": "a", "n": JsonNumber("1")},
        {"text": "b", "n": "one", "new": None},
        {"n": [JsonNumber("1.50")], "text": "c"},
    ]


def test_73_control_sequences_and_markup_are_data() -> None:
    text = "\u202eabc \x1b[31mred\x1b[0m <script>alert(1)</script>"
    assert examples("x.csv", f"text,label\n{text},pos\n".encode()) == [(text, "pos")]


def test_multi_label_cells() -> None:
    lines = [
        '{"text": "a", "labels": ["x", "y"]}',
        '{"text": "a", "labels": []}',
        '{"text": "a", "labels": [1, true]}',
        '{"text": "a", "labels": "[\\"x\\"]"}',
        '{"text": "a", "labels": "x"}',
        '{"text": "a", "labels": ["x", ""]}',
        '{"text": "a", "labels": ["x", "x"]}',
        '{"text": "a", "labels": 7}',
        '{"text": "a"}',
    ]
    labels = "column 'labels': the labels are"
    assert examples("x.jsonl", "\n".join(lines).encode(), MULTI) == [
        ("a", "x", "y"),
        ("a",),
        ("a", "1", "true"),
        ("a", "x"),
        f"x.jsonl:5: {labels} not a JSON list; set data.label_separator if they are separated text",
        "x.jsonl:6: column 'labels': one of the labels is empty, null or not a string",
        "x.jsonl:7: column 'labels': a label occurs twice in this row",
        f"x.jsonl:8: {labels} a number, not a list",
        "x.jsonl:9: column 'labels' is missing in this row",
    ]


def test_multi_label_cells_with_a_separator() -> None:
    settings = ReadSettings(columns=ColumnNames(labels="labels", label_separator=";"), need_labels=True)
    content = b"text,labels\na,x;y\na,\na,x;;y\na, x;y\n"
    assert examples("x.csv", content, settings) == [
        ("a", "x", "y"),
        ("a",),
        "x.csv:3: column 'labels': one of the labels is empty, null or not a string",
        ("a", " x", "y"),
    ]


def test_ids_come_from_the_id_column_or_the_row_number() -> None:
    settings = ReadSettings(columns=ColumnNames(id="key"))
    Path("x.jsonl").write_bytes(b'{"text": "a", "key": 007}\n'.replace(b"007", b"7.0") + b'{"text": "b", "key": ""}\n')
    rows = [row for row in read_records(Path("x.jsonl"), settings) if isinstance(row, Record)]
    found = [ExampleReader(settings)(row) for row in rows]
    assert isinstance(found[0], Example)
    assert found[0].id == "7.0"
    assert found[1] == Reject("x.jsonl", 2, 26, "column 'key': the id is empty")
    plain = ExampleReader(ReadSettings())(rows[1])
    assert isinstance(plain, Example)
    assert plain.id == "2"
