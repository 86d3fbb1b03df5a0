"""Columns beside text and label, for rows that are prepared."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from textlstm.config import DataConfig, DataSource
from textlstm.corpus.sources.examples import MAX_VALUES, read_extra_columns


def write(path: Path, rows: list[dict[str, object]]) -> DataConfig:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return DataConfig(source=DataSource.files, test=[str(path)])


def test_columns_of_few_values_come_in_the_order_of_the_rows_asked_for(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"text": f"t{i}", "label": "a", "shop": "north" if i % 2 else "south", "stars": i % 3, "serial": i}
        for i in range(40)
    ]
    del rows[3]["shop"]
    data = write(tmp_path / "rows.jsonl", rows)
    numbers = [4, 1, 2]
    found = read_extra_columns(data, ["rows.jsonl"] * 3, numbers)
    assert found == {"shop": ["", "south", "north"], "stars": ["0", "0", "1"], "serial": ["3", "0", "1"]}
    whole = read_extra_columns(data, ["rows.jsonl"] * 40, list(range(1, 41)))
    assert MAX_VALUES < 40
    assert set(whole) == {"shop", "stars"}


def test_a_column_with_one_value_is_no_cut(tmp_path: Path) -> None:
    data = write(tmp_path / "rows.jsonl", [{"text": "t", "label": "a", "shop": "north"}] * 3)
    assert read_extra_columns(data, ["rows.jsonl"] * 3, [1, 2, 3]) == {}


def test_files_of_one_name_give_no_columns(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"text": "t", "label": "a", "shop": shop} for shop in "ab"]
    paths = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "rows.jsonl", rows)
        paths.append(str(tmp_path / folder / "rows.jsonl"))
    data = DataConfig(source=DataSource.files, test=paths)
    assert read_extra_columns(data, ["rows.jsonl"] * 2, [1, 2]) == {}
    single = DataConfig(source=DataSource.files, test=paths[:1])
    assert read_extra_columns(single, ["rows.jsonl"] * 2, [1, 2]) == {"shop": ["a", "b"]}


@pytest.mark.parametrize("source", [DataSource.bbc_news, DataSource.hub])
def test_only_files_have_other_columns(source: DataSource) -> None:
    assert read_extra_columns(DataConfig(source=source, name="x"), ["x"], [1]) == {}


def test_splits_may_share_a_file_or_have_different_formats(tmp_path: Path) -> None:
    """`train` refused both, after the training."""
    rows: list[dict[str, object]] = [{"text": f"t{i}", "label": "a", "shop": "ab"[i % 2]} for i in range(4)]
    data = write(tmp_path / "rows.jsonl", rows)
    (tmp_path / "train.csv").write_text("text,label\nx,a\n")
    for train in (data.test, [str(tmp_path / "train.csv")]):
        found = read_extra_columns(replace(data, train=train), ["rows.jsonl"] * 2, [1, 2])
        assert found == {"shop": ["a", "b"]}
