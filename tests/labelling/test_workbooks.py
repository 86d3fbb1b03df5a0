"""Workbooks as inputs and outputs of labelling jobs: the same rows as from CSV, the same bytes after kills."""

import json
import random
from collections.abc import Callable
from itertools import count
from pathlib import Path

import openpyxl
import pytest
from fake_model import FAKE_MULTI_LABEL_MODELS
from io_faults import kill_at
from test_kills import check_absent_or_complete, run_in_child

from textlstm.corpus.rows.readers import read_records
from textlstm.corpus.rows.records import Record
from textlstm.corpus.rows.settings import ColumnNames, ReadSettings
from textlstm.errors import InputError
from textlstm.labelling import planning
from textlstm.labelling.dry_run import look_ahead

TEXTS = ["goal", "=2+2", "two\nlines", "x\x01y", "", "2024", *(f"row {number}" for number in range(12))]


def write(path: Path, texts: list[str]) -> None:
    book = openpyxl.Workbook()
    book.worksheets[0].append(["id", "text", "amount"])
    for number, text in enumerate(texts):
        cell = openpyxl.cell.WriteOnlyCell(book.worksheets[0], value=text.replace("\x01", "_x0001_"))
        cell.data_type = "s"
        book.worksheets[0].append([f"r{number}", cell, number / 4])
    book.save(path)


def rows(path: Path) -> list[dict[str, object]]:
    reading = ReadSettings(columns=ColumnNames(text="text", label=""), max_expansion=10**6)
    return [dict(row.fields) for row in read_records(path, reading) if isinstance(row, Record)]


def test_a_workbook_is_labelled_as_csv_is(tmp_path: Path, run) -> None:
    write(tmp_path / "in.xlsx", TEXTS)
    summary = run("in.xlsx", "out.xlsx")
    run("in.xlsx", "out.csv")
    run("out.csv", "from.csv", **{f"{name}_name": f"{name}_2" for name in ("label", "probability", "decision")})
    assert summary.num_rows == len(TEXTS)
    book = rows(tmp_path / "out.xlsx")
    assert list(book[0]) == ["id", "text", "amount", "predicted_label", "probability", "decision"]
    assert [row["text"] or "" for row in book] == TEXTS
    assert [row["amount"] for row in book] == [number / 4 for number in range(len(TEXTS))]
    for mine, theirs in zip(book, rows(tmp_path / "from.csv"), strict=True):
        assert (mine["predicted_label"] or "") == theirs["predicted_label"] == theirs["label_2"]
        assert isinstance(mine["probability"], int | float)
    # From CSV to a workbook.
    run("out.csv", "from.xlsx", **{f"{name}_name": f"{name}_2" for name in ("label", "probability", "decision")})
    assert [row["label_2"] for row in rows(tmp_path / "from.xlsx")] == [row["predicted_label"] for row in book]


def test_lists_of_labels_and_sources_stand_in_cells(tmp_path: Path, run) -> None:
    write(tmp_path / "in.xlsx", ["a b", "none: x"])
    run("in.xlsx", "out.xlsx", models=FAKE_MULTI_LABEL_MODELS, source_column="source")
    assert [row["predicted_label"] for row in rows(tmp_path / "out.xlsx")] == ['[",a", ",b"]', "[]"]
    assert rows(tmp_path / "out.xlsx")[0]["source"] == str(tmp_path / "in.xlsx")


def test_labels_of_a_workbook_are_kept(tmp_path: Path, run) -> None:
    write(tmp_path / "in.xlsx", TEXTS)
    run("in.xlsx", "out.xlsx")
    write(tmp_path / "in.xlsx", ["new", *TEXTS, "newer"])
    assert run("in.xlsx", "out.xlsx", append=True).num_here == 2
    run("in.xlsx", "anew.xlsx")
    assert (tmp_path / "out.xlsx").read_bytes() == (tmp_path / "anew.xlsx").read_bytes()


def test_rows_that_no_sheet_holds_are_rejected_or_refused(tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": "x" * n}) + "\n" for n in (5, 32_768)))
    assert run("in.jsonl", "out.xlsx").num_rejects == 1
    [reject] = map(json.loads, (tmp_path / "out.xlsx.rejects.jsonl").read_text().splitlines())
    assert reject["reason"] == "column 'text': 32,768 characters; a cell of Excel holds 32,767"
    monkeypatch.setattr(planning, "MAX_ROWS", 3)
    run("in.jsonl", "again.xlsx")
    write(tmp_path / "in.xlsx", ["one", "two", "three"])
    with pytest.raises(InputError) as refused:
        run("in.xlsx", "three.xlsx")
    assert refused.value.problems == (
        f"{tmp_path}/three.xlsx: a sheet holds 2 rows below its header, and there are 3; name the output .csv or "
        ".parquet",
    )


def test_folders_take_workbooks_only_where_there_is_nothing_else(tmp_path: Path, run) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "a.xlsx", ["one"])
    write(folder / "b.xlsx", ["two"])
    (folder / "~$a.xlsx").write_bytes(b"open in Excel")
    assert run("in", "out.csv").num_rows == 2
    (folder / "c.csv").write_text("id,text,amount\n1,three,2\n")
    assert run("in", "one.csv").num_rows == 1


class Killed:
    """A job from workbook to workbook that is killed again and again."""

    def __init__(self, directory: Path, run: Callable[..., object], *, num_rows: int) -> None:
        self._run = run
        write(directory / "in.xlsx", [f"row {number}" for number in range(num_rows)])
        run("in.xlsx", "calm.xlsx")
        self._wild, self._calm = directory / "wild.xlsx", (directory / "calm.xlsx").read_bytes()
        self.num_kills = 0

    def attempt(self, at: int) -> bool:
        """Run once, killed at operation `at`; say whether it came to its end."""
        finished = run_in_child(self._run, "in.xlsx", "wild.xlsx", kill_at(at))
        self.num_kills += not finished
        check_absent_or_complete(self._wild, self._calm)
        return finished

    def check_finished(self) -> None:
        assert self._wild.read_bytes() == self._calm
        assert not Path(f"{self._wild}.work").exists()


def test_a_workbook_killed_at_some_operations(tmp_path: Path, run) -> None:
    job = Killed(tmp_path, run, num_rows=8)
    for at in count(1, 4):
        if job.attempt(at):
            break
    job.check_finished()
    assert job.num_kills >= 5


def test_the_check_sees_a_damaged_workbook(tmp_path: Path, run) -> None:
    """Negative control: a workbook with one byte more is not what a calm job writes."""
    job = Killed(tmp_path, run, num_rows=4)
    assert job.attempt(10**9)
    wild = tmp_path / "wild.xlsx"
    wild.write_bytes(wild.read_bytes() + b"\0")
    with pytest.raises(AssertionError):
        job.check_finished()


@pytest.mark.long
def test_a_hundred_kills_of_a_workbook(tmp_path: Path, run) -> None:
    job = Killed(tmp_path, run, num_rows=1500)
    draw = random.Random(9)
    while not job.attempt(draw.randint(1, 90) if job.num_kills < 100 else 10**9):
        pass
    job.check_finished()
    assert job.num_kills == 100


def test_a_dry_run_looks_into_a_workbook(tmp_path: Path) -> None:
    from fake_model import FAKE_MODELS

    from textlstm.config import LabelConfig

    (tmp_path / "model").mkdir()
    write(tmp_path / "in.xlsx", TEXTS)
    config = LabelConfig(input=[str(tmp_path / "in.xlsx")], output=str(tmp_path / "out.xlsx"))
    assert look_ahead(config, model_dir=tmp_path / "model", models=FAKE_MODELS).num_rows == len(TEXTS)
    assert not (tmp_path / "out.xlsx").exists()
