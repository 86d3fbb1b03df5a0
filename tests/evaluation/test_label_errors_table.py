"""The table holds every training row, says what is wrong with it, and can be trained on after correction."""

import csv
import io
import json
from pathlib import Path

import numpy as np

from textlstm.config import Task
from textlstm.evaluation.label_errors import QualityTable, quality_table

LABELS = ("money", "sport")
HEADER = ["id", "text", "label", "suggested_label", "label_quality", "reason", "related_id"]


def corpus() -> tuple[list[str], np.ndarray]:
    """Rows of two topics; rows 7, 12 and 43 have the wrong label, 21 repeats 20, 30 is row 31 with the other label."""
    topics = (["bank", "share", "profit", "bond"], ["goal", "match", "coach", "league"])
    generator = np.random.default_rng(0)
    targets = np.arange(60) % 2
    texts = [f"{' '.join(generator.choice(topics[target], 5))} n{row}" for row, target in enumerate(targets)]
    texts[21], targets[21] = texts[20], targets[20]
    texts[30] = texts[31]
    targets[[7, 12, 43]] = 1 - targets[[7, 12, 43]]
    return texts, targets


def table_of(texts: list[str], targets: np.ndarray, task: Task = Task.single_label, **options: object) -> QualityTable:
    ids = [f"id{row}" for row in range(len(texts))]
    return quality_table(texts, targets, ids=ids, labels=LABELS, task=task, seed=0, **options)  # type: ignore[arg-type]


def read(table: QualityTable) -> dict[str, dict[str, str]]:
    return {row["id"]: row for row in csv.DictReader(io.StringIO(table.csv.decode(), newline=""))}


def test_every_row_is_in_the_table_with_its_reason() -> None:
    texts, targets = corpus()
    table = table_of(texts, targets)
    rows = read(table)
    assert len(rows) == 60
    assert list(rows["id0"]) == HEADER
    likely = {id_ for id_, row in rows.items() if row["reason"].startswith("likely label error")}
    assert "id7" in likely
    assert likely <= {"id7", "id12", "id43", "id30"}
    assert (rows["id7"]["label"], rows["id7"]["suggested_label"]) == ("money", "sport")
    assert (rows["id21"]["reason"], rows["id21"]["related_id"]) == ("near-duplicate", "id20")
    assert "near-same text, other label" in rows["id30"]["reason"]
    assert rows["id30"]["related_id"] == "id31"
    assert rows["id0"]["reason"] == ""
    assert table.counts["near-duplicate"] == 1
    assert table.counts["near-same text, other label"] == 2


def test_the_most_suspicious_rows_come_first() -> None:
    rows = list(read(table_of(*corpus())).values())
    qualities = [float(row["label_quality"]) for row in rows]
    assert qualities == sorted(qualities)
    assert {row["id"] for row in rows[:4]} == {"id7", "id12", "id43", "id30"}


def test_rows_that_are_also_evaluated_are_named() -> None:
    texts, targets = corpus()
    table = table_of(texts, targets, evaluated_texts=[texts[5].upper()])
    assert read(table)["id5"]["reason"] == "also in the evaluated rows"
    assert table.counts["also in the evaluated rows"] == 1


def test_columns_are_named_as_the_corpus_names_them() -> None:
    rows = read(table_of(*corpus(), text_column="review", label_column="stars"))
    assert {"review", "stars"} <= rows["id0"].keys()


def test_texts_come_back_verbatim() -> None:
    texts, targets = corpus()
    texts[3] = 'a "quoted", text\nwith\r\nbreaks; and =1+1 \u2028 \U0001f600'
    assert read(table_of(texts, targets))["id3"]["text"] == texts[3]


def test_multi_labels_stand_as_json_lists() -> None:
    texts, targets = corpus()
    rows = read(table_of(texts, targets[:, None] == np.arange(2), Task.multi_label))
    assert json.loads(rows["id0"]["label"]) == ["money"]


def test_the_table_is_written_whole(tmp_path: Path) -> None:
    table = table_of(*corpus())
    path = table.write(tmp_path / "label_errors.csv")
    assert path.read_bytes() == table.csv
    assert list(tmp_path.iterdir()) == [path]
