"""Random small files of every format that textlstm reads: mostly good rows, now and then the faults that users meet."""

import csv
import gzip
import io
import json
import random
import re
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

FORMATS = ("csv", "tsv", "jsonl", "json", "parquet", "xlsx", "txt", "folder")
WORDS = (
    *(
        "goal",
        "match",
        "coach",
        "bank",
        "share",
        "profit",
        "the",
        "a",
        "not",
        "naïve",
        "日本語",
        "ไทย",
        "שלום",
        "don't",
    ),
    *("http://a.b/c?d=e", "me@example.org", "3.14", "1e5", "NA", "null", "<script>", "=1+1", "😀", "x" * 60),
)
LABELS = (
    ("sport", "money"),
    ("sport", "money", "film"),
    ("1", "0"),
    ("a/b", "[x]", "../c"),
    ("NA", "None"),
    ("positive", "Positive"),
)
ODD_CELLS = ("", " ", "\x00", "\ud800", "\u200b", "\r", "a\nb", '"', "'", "\t", "é" * 300, "(" * 500, "\x1b[31m", "nan")
ODD_VALUES = (None, 0, -1.5, True, [], ["a"], {"a": 1}, float("nan"), 10**30, "")
ODD_BYTES = (
    b"\xff\xfe",
    b"\x00" * 9,
    b'"',
    b"\n\n",
    b"\xef\xbb\xbf",
    b"\x1f\x8b\x08",
    b"PK\x03\x04",
    b"[",
    b"{",
    b"\xe9",
)

_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


def random_file(
    dice: random.Random, folder: Path, name: str, *, labels: tuple[str, ...], multi: bool = False, format: str = ""
) -> Path:
    """Write a file, or a folder of classes, into `folder` under `name` and an ending; return its path."""
    format = format or dice.choice(FORMATS)
    rows = _rows(dice, labels, multi=multi)
    if format == "folder":
        return _class_folders(dice, folder / name, rows)
    if format == "parquet":
        path = folder / f"{name}.parquet"
        pq.write_table(_table(dice, rows), path, row_group_size=dice.choice((3, 1000)))
        content = path.read_bytes()
    else:
        content = _workbook(rows) if format == "xlsx" else _text_file(dice, rows, format)
        path = folder / f"{name}.{format}"
    if dice.random() < 0.06:
        content = _damaged(dice, content)
    packing = dice.choice(("", "", "", "", ".gz", ".zst")) if format not in ("parquet", "xlsx") else ""
    if packing:
        content = gzip.compress(content) if packing == ".gz" else zstandard.compress(content)
        path = path.with_name(path.name + packing)
    path.write_bytes(content)
    return path


def random_reviewed(dice: random.Random, folder: Path, *, labels: tuple[str, ...]) -> Path:
    """Write rows as `textlstm review` does, with `correct_label` filled in here and there; return the file's path."""
    rows = _rows(dice, labels, multi=False)
    for row in rows:
        row["correct_label"] = dice.choice((row.pop("label", ""), dice.choice(labels), "", "", dice.choice(ODD_CELLS)))
        row["review_source"] = dice.choice(("out.csv row 1, model 0123456789ab", ""))
    format = dice.choice(("csv", "csv", "jsonl", "parquet"))
    path = folder / f"reviewed.{format}"
    if format == "parquet":
        pq.write_table(_table(dice, rows), path)
    else:
        path.write_bytes(_text_file(dice, rows, format))
    return path


def _rows(dice: random.Random, labels: tuple[str, ...], *, multi: bool) -> list[dict[str, Any]]:
    """Return rows of `text`, `label` (or `labels`), `id` and sometimes more; some hold values that cannot be used."""
    rows: list[dict[str, Any]] = []
    oddness = dice.choice((0, 0, 0, 0.02, 0.2))
    for number in range(dice.choice((0, 1, 2, 5, 24, 24, 24, 40, 40, 40, 40))):
        label = labels[number % len(labels)]
        words = dice.choices(WORDS, k=dice.choice((0, 1, 3, 8, 20)))
        row: dict[str, Any] = {"text": f"{label} {' '.join(words)} {number}", "id": str(number)}
        if multi:
            row["labels"] = dice.sample(labels, k=dice.randrange(len(labels) + 1))
        else:
            row["label"] = label
        if dice.random() < oddness:
            row[dice.choice(list(row))] = dice.choice((dice.choice(ODD_CELLS), dice.choice(ODD_VALUES)))
        rows.append(row)
    # Columns that come and go, and columns named like those that labelling adds.
    for name in ("extra", "probability", "predicted_label", "unnamed_2", ""):
        if dice.random() < 0.06:
            for row in rows:
                row[name] = dice.choice((1, "x", None, 2.5))
    if rows and dice.random() < 0.06:
        missing = dice.choice(list(rows[0]))
        for row in rows:
            row.pop(missing, None)
    return rows


def _text_file(dice: random.Random, rows: list[dict[str, Any]], format: str) -> bytes:
    if format == "txt":
        text = "\n".join(str(row.get("text", "")) for row in rows)
    elif format in ("jsonl", "json"):
        lines = [json.dumps(row, ensure_ascii=dice.random() < 0.5) for row in rows]
        text = "\n".join(lines) if format == "jsonl" else f"[{','.join(lines)}]"
    else:
        stream = io.StringIO()
        delimiter = "\t" if format == "tsv" else dice.choice((",", ",", ",", ";"))
        names = list(dict.fromkeys(name for row in rows for name in row)) or ["text", "label"]
        writer = csv.writer(stream, delimiter=delimiter, lineterminator=dice.choice(("\n", "\r\n")))
        writer.writerow(names)
        writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
        text = stream.getvalue()
    encoding = dice.choice(("utf-8",) * 30 + ("utf-8-sig", "utf-16", "cp1252"))
    return (text + dice.choice(("\n", ""))).encode(encoding, "surrogatepass" if "utf" in encoding else "replace")


def _cell(value: Any) -> str:
    return "" if value is None else json.dumps(value) if isinstance(value, list) else str(value)


def _workbook(rows: list[dict[str, Any]]) -> bytes:
    """Return the rows as a workbook; what a workbook cannot hold is left out of it."""
    names = list(dict.fromkeys(name for row in rows for name in row)) or ["text", "label"]
    book = openpyxl.Workbook()
    book.worksheets[0].append(names)
    for row in rows:
        cells = [value if isinstance(value := row.get(name), int | float) else _cell(value) for name in names]
        cells = [cell if not isinstance(cell, str) else _ILLEGAL.sub("", cell) for cell in cells]
        book.worksheets[0].append([None if cell != cell or cell == "" else cell for cell in cells])
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _table(dice: random.Random, rows: list[dict[str, Any]]) -> pa.Table:
    """Return the rows with columns of one type each: that of most values, or text."""
    names = list(dict.fromkeys(name for row in rows for name in row)) or ["text", "label"]
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowException, UnicodeEncodeError, OverflowError):
            columns[name] = pa.array([_cell(value).encode("utf-8", "replace").decode() for value in values])
        if columns[name].type == pa.string() and dice.random() < 0.1:
            columns[name] = columns[name].dictionary_encode()
        elif dice.random() < 0.03:
            columns[name] = pa.array(
                [[("k", _cell(value)[:5].encode("utf-8", "replace").decode())] for value in values],
                pa.map_(pa.string(), pa.string()),
            )
    return pa.table(columns)


def _class_folders(dice: random.Random, folder: Path, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir()
    for number, row in enumerate(rows):
        name = str(row.get("label", "none")).replace("/", "_").replace("\x00", "0")[:40].strip(".") or "empty"
        place = folder / name.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
        place.mkdir(exist_ok=True)
        (place / f"{number}.txt").write_text(str(row.get("text")), encoding="utf-8", errors="replace")
    return folder


def _damaged(dice: random.Random, content: bytes) -> bytes:
    place = dice.randrange(len(content) + 1)
    match dice.randrange(4):
        case 0:
            return content[:place]
        case 1:
            return content[:place] + dice.choice(ODD_BYTES) + content[place:]
        case 2:
            return content[:place] + dice.randbytes(3) + content[place + 3 :]
        case _:
            return b""
