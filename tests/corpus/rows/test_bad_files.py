"""Files that are refused as a whole: every problem, the whole message. Numbers are those of docs/bad-input.md."""

import gzip
import io
import os
import pathlib
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from textlstm.config import FileFormat
from textlstm.corpus.rows.delimited import read_header
from textlstm.corpus.rows.inputs import expand_inputs
from textlstm.corpus.rows.lines import LineInput, ReadCounts
from textlstm.corpus.rows.readers import index_rows, read_all, read_records
from textlstm.corpus.rows.records import Record
from textlstm.corpus.rows.settings import ColumnNames, Compression, FileKind, ReadSettings
from textlstm.errors import InputError

LABELLED = ReadSettings(need_labels=True)
GOOD = b"text,label\ngood film,pos\nbad film,neg\n"
ROWS = [{"text": "good film", "label": "pos"}, {"text": "bad film", "label": "neg"}]


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def problems_of(name: str, content: bytes | None = None, settings: ReadSettings = LABELLED) -> tuple[str, ...]:
    if content is not None:
        Path(name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(read_records(Path(name), settings))
    assert caught.value.exit_code == 2
    return caught.value.problems


def rows_of(name: str, content: bytes | None = None, settings: ReadSettings = LABELLED) -> list[dict[str, object]]:
    if content is not None:
        Path(name).write_bytes(content)
    found = list(read_records(Path(name), settings))
    assert all(isinstance(row, Record) for row in found), found
    return [dict(row.fields) for row in found if isinstance(row, Record)]


def test_the_good_file_that_all_others_are_made_from_is_read() -> None:
    assert rows_of("x.csv", GOOD) == ROWS


def test_01_missing_file() -> None:
    assert problems_of("missing.csv") == ("missing.csv: no such file.",)


def test_01_folder_in_place_of_a_file() -> None:
    Path("x.csv").mkdir()
    assert problems_of("x.csv") == ("x.csv: no text files in class folders, as in x.csv/sport/001.txt.",)


def test_01_no_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("x.csv").write_bytes(GOOD)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pathlib.Path, "open", refuse)
    assert problems_of("x.csv") == ("x.csv: may not be read (permission denied).",)


def test_02_empty_file() -> None:
    assert problems_of("x.csv", b"") == ("x.csv: is empty (0 bytes).",)
    assert problems_of("x.csv.gz", gzip.compress(b"")) == ("x.csv.gz: has no header and no data rows.",)


@pytest.mark.parametrize("content", [b"text,label\n", b"text,label", b"text,label\r\n\r\n\n"])
def test_03_header_only(content: bytes) -> None:
    assert problems_of("x.csv", content) == ("x.csv: has no data rows.",)


def test_04_byte_order_mark_is_stripped() -> None:
    assert rows_of("x.csv", b"\xef\xbb\xbf" + GOOD) == ROWS
    jsonl = b'\xef\xbb\xbf{"text": "good film", "label": "pos"}\n'
    assert rows_of("x.jsonl", jsonl) == ROWS[:1]


def test_05_utf_16_is_refused_with_the_encoding_to_set() -> None:
    text = GOOD.decode()
    assert problems_of("x.csv", text.encode("utf-16")) == ("x.csv: looks like UTF-16 text. Set data.encoding=utf-16.",)
    assert problems_of("x.csv", text.encode("utf-16-le")) == (
        "x.csv: looks like UTF-16-LE text. Set data.encoding=utf-16-le.",
    )
    assert rows_of("x.csv", text.encode("utf-16"), ReadSettings(encoding="utf-16", need_labels=True)) == ROWS
    assert rows_of("x.csv", text.encode("utf-16-be"), ReadSettings(encoding="utf-16-be", need_labels=True)) == ROWS


def test_05_text_that_is_not_the_utf_16_it_is_said_to_be() -> None:
    assert problems_of("x.csv", GOOD + b"!", ReadSettings(encoding="utf-16-le")) == (
        "x.csv: is not utf-16-le text (truncated data). Set data.encoding.",
    )


def test_08_unknown_encoding() -> None:
    assert problems_of("x.csv", GOOD, ReadSettings(encoding="utf-9")) == (
        "data.encoding: there is no text encoding 'utf-9'; did you mean 'utf-8'?",
    )
    assert problems_of("x.csv", GOOD, ReadSettings(encoding="gibberish", key_prefix="labelling")) == (
        "labelling.encoding: there is no text encoding 'gibberish'; 'utf-8', 'cp1252' and 'utf-16' are usual ones.",
    )
    assert problems_of("x.csv", GOOD, ReadSettings(encoding="base64")) == (
        "data.encoding: there is no text encoding 'base64'; 'utf-8', 'cp1252' and 'utf-16' are usual ones.",
    )


def test_15_unterminated_quote_names_the_row_where_it_opened() -> None:
    content = b'text,label\ngood film,pos\n"bad film,neg\nmore,neg\n'
    message = "a quote opens a cell in this row and is never closed. Close it, or double it where it is text."
    assert problems_of("x.csv", content) == (f"x.csv:2: {message}",)
    assert problems_of("x.csv", b'"text,label\ngood film,pos\n') == (f"x.csv: header: {message}",)


def test_15_unterminated_quote_stops_within_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textlstm.corpus.rows.delimited.MAX_ROW_BYTES", 1 << 20)
    content = b'text,label\n"good film,pos\n' + b"and so on,neg\n" * 100_000
    assert problems_of("x.csv", content) == (
        "x.csv:1: a quote opens a cell in this row and is not closed within 1 MiB. "
        "Close it, or double it where it is text.",
    )


def test_20_duplicate_header_and_missing_column_are_reported_together() -> None:
    assert problems_of("x.csv", b"text,id,text\na,1,b\n") == (
        "x.csv: the header has the column 'text' twice, as fields 1 and 3. Rename one.",
        "x.csv: no column 'label'; the columns are 'text', 'id', 'text'. Set data.label_column.",
    )


@pytest.mark.parametrize("header", [" text", "Text", "TEXT ", "\ufefftext"])
def test_21_header_that_differs_in_case_or_spaces_names_the_nearest(header: str) -> None:
    expected = f"x.csv: no column 'text'; did you mean {header!r}? The columns are 'label', {header!r}. "
    assert problems_of("x.csv", f"label,{header}\npos,good\n".encode()) == (expected + "Set data.text_column.",)


def test_22_missing_columns_list_those_that_exist() -> None:
    settings = ReadSettings(columns=ColumnNames(text="body", labels="tags", id="key"), need_labels=True)
    assert problems_of("x.csv", GOOD, settings) == (
        "x.csv: no column 'body'; the columns are 'text', 'label'. Set data.text_column.",
        "x.csv: no column 'tags'; the columns are 'text', 'label'. Set data.labels_column.",
        "x.csv: no column 'key'; the columns are 'text', 'label'. Set data.id_column.",
    )
    assert problems_of("x.jsonl", b'{"txt": "good film", "label": "pos"}\n') == (
        "x.jsonl: no column 'text'; did you mean 'txt'? The columns are 'txt', 'label'. Set data.text_column.",
    )
    assert problems_of("x.txt", b"good film\n") == (
        "x.txt: plain text has no labels. Give CSV, TSV, JSONL or Parquet, or a folder of class folders.",
    )


DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_23_other_delimiter_in_a_csv_file(delimiter: str) -> None:
    content = GOOD.replace(b",", delimiter.encode())
    assert rows_of("x.csv", content) == ROWS
    assert read_header(LineInput(Path("x.csv"), FileKind(FileFormat.csv, Compression.none), LABELLED)).notes == (
        f"x.csv: read with {DELIMITERS[delimiter]} between its cells",
    )
    assert problems_of("x.csv", b"txt,label\na,b\n".replace(b",", delimiter.encode())) == (
        f"x.csv: the header has no commas but {DELIMITERS[delimiter]}, and between them no column 'text'; "
        "did you mean 'txt'? The columns are 'txt', 'label'. Set data.text_column.",
    )


def test_23_comma_in_a_tsv_file() -> None:
    assert rows_of("x.tsv", GOOD) == ROWS
    assert rows_of("x.csv", GOOD.replace(b",", b"\t"), ReadSettings(format=FileFormat.tsv)) == ROWS


def test_23_a_comma_in_the_header_keeps_other_delimiters_text() -> None:
    assert rows_of("x.csv", b"text,label\na;b,pos|neg\n") == [{"text": "a;b", "label": "pos|neg"}]
    assert rows_of("x.csv", b"text\na;b\n", ReadSettings()) == [{"text": "a;b"}]


@pytest.mark.parametrize("first", [b"sep=;\n", b"SEP=;\r\n", b"\xef\xbb\xbfsep=;\n", b"\nsep=;\n"])
def test_the_line_by_which_excel_tells_the_delimiter_is_no_row(first: bytes) -> None:
    content = first + b'text;label\n"a;b";pos\na,b;neg\n'
    assert rows_of("x.csv", content) == [{"text": "a;b", "label": "pos"}, {"text": "a,b", "label": "neg"}]
    assert index_rows(Path("x.csv"), LABELLED).num_rows == 2
    [last] = read_records(Path("x.csv"), LABELLED, rows=index_rows(Path("x.csv"), LABELLED, stride=1).rows(2, 2))
    assert last.fields == {"text": "a,b", "label": "neg"}
    assert rows_of("x.csv", b"sep=,\ntext,label\na,b\n") == [{"text": "a", "label": "b"}]


def test_columns_without_a_name_are_told_apart() -> None:
    content = b",text,label,,\n0,a,pos,x,y\n"
    assert rows_of("x.csv", content) == [{"": "0", "text": "a", "label": "pos", "unnamed_4": "x", "unnamed_5": "y"}]
    assert rows_of("x.csv", b"text,label,,unnamed_4,\na,pos,1,2,3\n")[0]["unnamed_5"] == "3"
    twice = b"text,text,label,,\na,b,pos,1,2\n"
    assert problems_of("x.csv", twice)[0].startswith("x.csv: the header has the column 'text' twice")


@pytest.mark.parametrize("start", [b"<!DOCTYPE html>\n<html>", b"  <html lang='en'>\n", b"<?xml version='1.0'?>\n"])
def test_24_html_page(start: bytes) -> None:
    assert problems_of("x.csv", start + b"<body>Please log in, now</body>\n") == (
        "x.csv: is an HTML or XML page, not csv. Was a login or error page downloaded?",
    )


def test_25_gzip_named_csv_and_csv_named_gzip() -> None:
    assert problems_of("x.csv", gzip.compress(GOOD)) == ("x.csv: is gzip data. Rename it to end in .gz.",)
    assert problems_of("x.csv.gz", GOOD) == ("x.csv.gz: is not gzip data although its name says so.",)
    assert problems_of("x.csv.zst", GOOD) == ("x.csv.zst: is not zstd data although its name says so.",)
    assert rows_of("x.csv.gz", gzip.compress(GOOD)) == ROWS


def test_25_gzip_that_unpacks_to_too_much() -> None:
    bomb = gzip.compress(GOOD + (b"a" * 1000 + b",b\n") * 3000)
    assert problems_of("x.csv.gz", bomb) == (
        f"x.csv.gz: unpacks to more than 200 times its size of {len(bomb):,} bytes. "
        "If it is no bomb, unpack it first or set data.max_expansion.",
    )
    assert len(rows_of("x.csv.gz", bomb, ReadSettings(max_expansion=2000))) == 3_002


@pytest.mark.parametrize("cut", [1, 8, 12])
def test_25_gzip_that_ends_early(cut: int) -> None:
    packed = gzip.compress(GOOD, mtime=0)
    assert problems_of("x.csv.gz", packed[:-cut]) == ("x.csv.gz: the gzip data ends too early. Get a complete copy.",)


def test_25_zstd_that_ends_early_or_is_damaged() -> None:
    import zstandard

    packed = zstandard.ZstdCompressor(write_checksum=True).compress(GOOD * 50)
    assert len(rows_of("x.csv.zst", packed, ReadSettings())) == 50 * 3 - 1
    assert problems_of("x.csv.zst", packed[:-1]) == ("x.csv.zst: the zstd data ends too early. Get a complete copy.",)
    broken = packed[:-1] + bytes([packed[-1] ^ 1])
    (message,) = problems_of("x.csv.zst", broken)
    assert message.startswith("x.csv.zst: is damaged zstd data (")
    assert message.endswith("). Get a fresh copy.")


def test_26_archives_are_never_extracted() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.csv", GOOD)
    assert problems_of("x.csv", buffer.getvalue()) == (
        "x.csv: is a zip archive (or an Excel workbook), which is never unpacked. Give the files inside it.",
    )
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("x.csv")
        info.size = len(GOOD)
        tar.addfile(info, io.BytesIO(GOOD))
    message = "is a tar archive, which is never unpacked. Give the files inside it."
    assert problems_of("x.csv", buffer.getvalue()) == (f"x.csv: {message}",)
    assert problems_of("x.csv.gz", gzip.compress(buffer.getvalue())) == (f"x.csv.gz: {message}",)
    assert sorted(path.name for path in Path().iterdir()) == ["x.csv", "x.csv.gz"]


def test_60_indented_json_named_jsonl() -> None:
    assert problems_of("x.jsonl", b'{\n  "text": "a"\n}\n') == (
        "x.jsonl: is indented JSON, not JSONL. Write one object a line, as with `jq -c .`.",
    )


def test_64_files_with_columns_in_another_order_are_read_by_name() -> None:
    Path("a.csv").write_bytes(GOOD)
    Path("b.csv").write_bytes(b"label,text\npos,fine\n")
    rows = list(read_all([Path("a.csv"), Path("b.csv")], LABELLED))
    assert [row.fields for row in rows if isinstance(row, Record)] == [*ROWS, {"label": "pos", "text": "fine"}]


def test_64_problems_of_all_files_are_reported_together() -> None:
    Path("a.csv").write_bytes(GOOD)
    Path("b.csv").write_bytes(b"body,note\nfine,x\n")
    rows = read_all([Path("b.csv"), Path("a.csv"), Path("c.csv")], LABELLED)
    assert [next(rows).number, next(rows).number] == [1, 2]
    with pytest.raises(InputError) as caught:
        next(rows)
    assert caught.value.problems == (
        "b.csv: no column 'text'; the columns are 'body', 'note'. Set data.text_column.",
        "b.csv: no column 'label'; the columns are 'body', 'note'. Set data.label_column.",
        "c.csv: no such file.",
    )


def parquet_bytes(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, write_page_checksum=True)
    return stream.getvalue()


TABLE = pa.table({"text": ["good film", "bad film"], "label": ["pos", "neg"]})


def test_66_parquet_that_is_cut_or_empty() -> None:
    whole = parquet_bytes(TABLE)
    assert rows_of("x.parquet", whole) == ROWS
    for cut in (1, 10, len(whole) // 2):
        (message,) = problems_of("x.parquet", whole[:-cut])
        assert message.startswith("x.parquet: is not a whole Parquet file (")
        assert message.endswith("). Get a fresh copy.")
    assert problems_of("x.parquet", b"") == ("x.parquet: is empty (0 bytes).",)


def test_66_every_flipped_byte_of_parquet_data_is_noticed() -> None:
    whole = parquet_bytes(TABLE)
    start = whole.index(b"good film")
    for place in range(start, start + 9):
        broken = bytearray(whole)
        broken[place] ^= 1
        (message,) = problems_of("x.parquet", bytes(broken))
        assert message.startswith("x.parquet: is not a whole Parquet file (")


def test_67_parquet_with_text_that_is_no_string() -> None:
    for values, kind in (([b"a"], "binary"), ([["a"]], "list<element: string>"), ([1], "int64")):
        table = pa.table({"text": values, "label": ["pos"]})
        assert problems_of("x.parquet", parquet_bytes(table)) == (
            f"x.parquet: the column 'text' is of type {kind}, not string. "
            "Store text as strings or set data.text_column.",
        )
    packed = pa.table({"text": TABLE["text"].dictionary_encode(), "label": TABLE["label"].dictionary_encode()})
    assert rows_of("x.parquet", parquet_bytes(packed)) == ROWS


def test_68_parquet_without_row_groups() -> None:
    assert problems_of("x.parquet", parquet_bytes(TABLE.slice(0, 0))) == ("x.parquet: has no data rows.",)


@pytest.mark.parametrize("change", ["append", "touch", "replace", "remove"])
def test_69_file_that_changes_while_it_is_read(change: str) -> None:
    path = Path("x.csv")
    path.write_bytes(GOOD)
    counts = ReadCounts()
    rows = read_records(path, LABELLED, counts=counts)
    next(rows)
    match change:
        case "append":
            with path.open("ab") as file:
                file.write(b"late,pos\n")
        case "touch":
            os.utime(path, ns=(1, 1))
        case "replace":
            Path("y.csv").write_bytes(GOOD)
            Path("y.csv").replace(path)
        case "remove":
            path.unlink()
    with pytest.raises(InputError) as caught:
        list(rows)
    assert caught.value.problems == ("x.csv: changed while it was read. Run again when nothing writes to it.",)


def test_75_globs_and_mixed_formats_are_reported_together() -> None:
    Path("a.csv").write_bytes(GOOD)
    Path("b.jsonl").write_bytes(b"{}\n")
    with pytest.raises(InputError) as caught:
        expand_inputs(["*.csv", "*.parquet", "b.jsonl", "gone.csv", "./a.csv"])
    assert caught.value.problems == (
        "*.parquet: matches no file.",
        "gone.csv: no such file.",
        "a.csv: is given twice; it is the same file as a.csv.",
        "the inputs have mixed formats: csv (a.csv), jsonl (b.jsonl). Give files of one format.",
    )
    assert expand_inputs(["*.csv"]) == [Path("a.csv")]


def test_file_with_old_line_ends_or_without_a_format() -> None:
    assert problems_of("x.csv", GOOD.replace(b"\n", b"\r")) == (
        "x.csv: its lines end in bare carriage returns. Convert them to line feeds.",
    )
    assert problems_of("x.dat", GOOD) == (
        "x.dat: the name tells no format; known endings are .csv, .tsv, .tab, .jsonl, .ndjson, .parquet, .xlsx, "
        ".txt, .json, each also with .gz or .zst. Rename it or set data.format.",
    )
    assert rows_of("x.dat", GOOD, ReadSettings(format=FileFormat.csv)) == ROWS
