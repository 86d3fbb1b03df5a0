"""Excel workbooks: rows in and out without loss, the same bytes for the same rows, damage named."""

import io
import time
import zipfile
from datetime import datetime
from pathlib import Path

import openpyxl
import pytest

from textlstm.config import FileFormat
from textlstm.corpus.rows import workbooks
from textlstm.corpus.rows.blocks.reading import read_row_blocks
from textlstm.corpus.rows.readers import index_rows, read_columns, read_records, reading_notes
from textlstm.corpus.rows.records import Record, Reject
from textlstm.corpus.rows.settings import ColumnNames, ReadSettings
from textlstm.corpus.rows.values import JsonNumber
from textlstm.corpus.rows.writers import record_writer
from textlstm.errors import InputError

SETTINGS = ReadSettings(columns=ColumnNames(text="text", label=""))
ROWS: list[dict[str, object]] = [
    {"text": "plain", "n": 3, "share": 0.25, "ok": True},
    {"text": "=1+2", "n": -7, "share": None, "ok": False},
    {"text": "two\nlines\tand \r\n a return", "n": 10**15 - 1, "share": 1e-9, "ok": None},
    {"text": "control \x01\x1f, an escape _x0041_ and _x", "n": None, "share": 2.5, "ok": True},
    {"text": " spaces, \u2028 and ünïcode 🎉 ", "n": 0, "share": 0.1, "ok": False},
]


def save(path: Path, rows: list[list[object]], *, sheets: int = 1) -> Path:
    """Write rows as another program would."""
    book = openpyxl.Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    for number in range(1, sheets):
        book.create_sheet(f"notes {number}")
    book.save(path)
    return path


def write(rows: list[dict[str, object]], columns: list[str]) -> bytes:
    stream = io.BytesIO()
    writer = record_writer(stream, FileFormat.xlsx, columns=columns)
    for row in rows:
        writer.write(row)
    writer.close()
    return stream.getvalue()


def fields(path: Path) -> list[dict[str, object]]:
    return [dict(row.fields) for row in read_records(path, SETTINGS) if isinstance(row, Record)]


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "rows.xlsx"
    path.write_bytes(write(ROWS, list(ROWS[0])))
    assert fields(path) == ROWS
    # What Excel and other programs see: texts, not formulas.
    sheet = openpyxl.load_workbook(path).worksheets[0]
    assert [cell.data_type for cell in sheet["A"]] == ["s"] * 6


def test_numbers_beyond_15_digits_stay_whole_as_texts(tmp_path: Path) -> None:
    path = tmp_path / "rows.xlsx"
    numbers = [JsonNumber("12345678901234567"), JsonNumber("7"), JsonNumber("1e2"), ["a", "b"]]
    path.write_bytes(write([{"text": "x", "n": number} for number in numbers], ["text", "n"]))
    assert [row["n"] for row in fields(path)] == ["12345678901234567", 7, 100, '["a", "b"]']


def test_the_same_rows_give_the_same_bytes() -> None:
    first = write(ROWS, list(ROWS[0]))
    time.sleep(2.1)  # times in a zip archive have steps of two seconds
    assert write(ROWS, list(ROWS[0])) == first
    stream = io.BytesIO()
    openpyxl.Workbook().save(stream)
    time.sleep(2.1)
    again = io.BytesIO()
    openpyxl.Workbook().save(again)
    assert stream.getvalue() != again.getvalue()  # negative control: openpyxl's own archive holds the time


def test_what_people_save_is_read(tmp_path: Path) -> None:
    path = save(
        tmp_path / "rows.xlsx",
        [
            ["text", "day", 2024, "at"],
            [12.5, datetime(2026, 11, 28), None, datetime(2026, 11, 28, 7, 30)],
            [None, None, None, None],
            ["short"],
            ["long", None, None, None, "beyond"],
        ],
        sheets=3,
    )
    assert read_columns(path, SETTINGS) == ("text", "day", "2024", "at")
    rows = list(read_records(path, SETTINGS))
    assert [row.fields for row in rows if isinstance(row, Record)] == [
        {"text": "12.5", "day": "2026-11-28", "2024": None, "at": "2026-11-28T07:30:00"},
        {"text": "short", "day": None, "2024": None, "at": None},
    ]
    assert rows[2] == Reject(str(path), 3, -1, "has 5 cells, but the header has 4")
    assert reading_notes(path, SETTINGS) == ("rows.xlsx: the first sheet, 'Sheet', is read, not the 2 after it",)
    index = index_rows(path, SETTINGS)
    assert index.num_rows == 3
    assert [row.number for row in read_records(path, SETTINGS, rows=index.rows(2, 3))] == [2, 3]
    [block] = read_row_blocks(path, SETTINGS)
    assert block.num_rows == 3


def test_rows_that_do_not_fit_are_told() -> None:
    assert workbooks.oversized_cell({"text": "x" * 32_767, "n": 1}) == ""
    assert workbooks.oversized_cell({"text": "x" * 32_768}) == (
        "column 'text': 32,768 characters; a cell of Excel holds 32,767"
    )
    assert "35,000 characters" in workbooks.oversized_cell({"text": "\x01" * 5000})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["id"], [1]], "x.xlsx: no column 'text'; the columns are 'id'. Set data.text_column."),
        ([["text", "text"]], "x.xlsx: the header has the column 'text' twice, as fields 1 and 2. Rename one."),
        ([["text", None, "b"]], "x.xlsx: field 2 of the first row is empty, which names the columns. Fill it."),
        ([], "x.xlsx: its first sheet is empty. Move the sheet with the rows to the front."),
        ([["text"]], "x.xlsx: has no data rows."),
    ],
)
def test_sheets_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[list[object]], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    save(Path("x.xlsx"), rows)
    with pytest.raises(InputError) as refused:
        list(read_records(Path("x.xlsx"), SETTINGS))
    assert refused.value.problems[-1] == message


def test_damaged_workbooks_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = save(Path("x.xlsx"), [["text"], *([f"row {number}"] for number in range(2000))])
    whole = path.read_bytes()

    def refusal(content: bytes) -> str:
        path.write_bytes(content)
        with pytest.raises(InputError) as refused:
            list(read_records(path, SETTINGS))
        return refused.value.problems[0]

    assert refusal(whole[:-300]).startswith("x.xlsx: is not a whole Excel workbook (")
    assert refusal(b"text,label\na,b\n").startswith("x.xlsx: is not a whole Excel workbook (")
    empty = io.BytesIO()
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("readme.txt", "no workbook")
    assert refusal(empty.getvalue()).startswith("x.xlsx: is not a whole Excel workbook (")
    # Packed bytes that are no deflate stream, behind a whole directory of the archive.
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        entry = archive.getinfo("xl/worksheets/sheet1.xml")
    begin = entry.header_offset + 30 + len(entry.filename)
    damaged = whole[:begin] + b"\xff" * 40 + whole[begin + 40 :]
    assert refusal(damaged).startswith("x.xlsx: is not a whole Excel workbook (Error -3 while decompressing")
    bomb = io.BytesIO(whole)
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/zeros", bytes(50_000_000))
    assert refusal(bomb.getvalue()).startswith("x.xlsx: unpacks to more than 200 times its size of ")
    path.write_bytes(whole)
    assert len(fields(path)) == 2000  # negative control
