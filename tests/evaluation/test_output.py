"""What an evaluation leaves behind: numbers, predictions, figures; complete, reproducible and without texts when asked."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from textlstm.config import EvaluationConfig, Task
from textlstm.errors import StorageError
from textlstm.evaluation.evaluate import evaluate_rows
from textlstm.evaluation.figures import draw_figures
from textlstm.evaluation.output import write_evaluation
from textlstm.evaluation.report import ClassWords, WordWeight
from textlstm.evaluation.scored_rows import ScoredRows

MakeRows = Callable[..., ScoredRows]
CANARY = "xylophone-canary-7131"


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_file_is_written_and_named(rows_of: MakeRows, quick: EvaluationConfig, tmp_path: Path) -> None:
    evaluation = evaluate_rows(rows_of(60), quick, threshold=0.6)
    paths = write_evaluation(
        evaluation, tmp_path, title="test", pictures=list(draw_figures(evaluation)), explanations=b"why"
    )
    figures = ("models", "reliability", "risk_coverage", "classes", "confusion")
    assert {str(path.relative_to(tmp_path)) for path in paths} == {
        "metrics.json",
        "predictions.parquet",
        "report.html",
        "explanations.html",
        *(f"figures/{name}.{ending}" for name in figures for ending in ("svg", "png")),
    }
    assert set(files_in(tmp_path)) == {str(path.relative_to(tmp_path)) for path in paths}
    assert paths[-1].name == "metrics.json"


def test_metrics_hold_what_scripts_rely_on(rows_of: MakeRows, quick: EvaluationConfig, tmp_path: Path) -> None:
    rows = rows_of(60)
    write_evaluation(evaluate_rows(rows, quick), tmp_path, title="test")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["accuracy"] == pytest.approx((rows.probabilities.argmax(axis=1) == rows.targets).mean())
    assert metrics["num_examples"] == 60
    assert 0 < metrics["macro_f1"] < 1
    assert metrics["intervals"]["accuracy"][0] < metrics["accuracy"] < metrics["intervals"]["accuracy"][1]
    assert set(metrics["models"]) == {"together", "recurrent", "expert", "baseline", "majority"}
    assert set(metrics["per_class"]) == set(rows.labels)
    assert metrics["comparisons"]["majority"]["verdict"] == "better"
    assert set(files_in(tmp_path)) == {"metrics.json", "predictions.parquet"}


def test_undefined_figures_are_null(rows_of: MakeRows, quick: EvaluationConfig, tmp_path: Path) -> None:
    rows = rows_of(20, targets=np.zeros(20, dtype=int))
    write_evaluation(evaluate_rows(rows, quick), tmp_path, title="test")
    assert json.loads((tmp_path / "metrics.json").read_text())["roc_auc"] is None


def test_predictions_come_back_from_parquet(rows_of: MakeRows, quick: EvaluationConfig, tmp_path: Path) -> None:
    rows = rows_of(50)
    targets = rows.targets.copy()
    targets[3] = -1
    rows = rows_of(50, targets=targets, texts=[f'a "b",\n\u2028 \U0001f600 {index}' for index in range(50)])
    evaluation = evaluate_rows(rows, quick, threshold=0.7)
    write_evaluation(evaluation, tmp_path, title="test")
    table = pq.read_table(tmp_path / "predictions.parquet")
    names = json.loads(table.schema.metadata[b"labels"])
    assert tuple(names) == rows.labels
    assert table.column("id").to_pylist() == rows.ids
    assert table.column("text").to_pylist() == rows.texts
    assert table.column("label").to_pylist() == [None if t == -1 else names[t] for t in targets]
    assert table.column("predicted_label").to_pylist() == [names[index] for index in evaluation.predictions]
    assert np.array(table.column("probabilities").to_pylist()) == pytest.approx(rows.probabilities, abs=1e-7)
    assert table.column("correct").to_pylist() == evaluation.correct.tolist()
    assert table.column("decision").to_pylist() == [
        "accepted" if probability >= 0.7 else "abstained" for probability in evaluation.confidences
    ]


def test_multi_label_predictions_come_back_as_lists(rows_of: MakeRows, quick: EvaluationConfig, tmp_path: Path) -> None:
    rows = rows_of(50, task=Task.multi_label)
    write_evaluation(evaluate_rows(rows, quick), tmp_path, title="test")
    column = pq.read_table(tmp_path / "predictions.parquet").column("labels").to_pylist()
    assert column == [[rows.labels[index] for index in np.flatnonzero(flags)] for flags in rows.targets]


def test_no_text_is_left_anywhere_when_texts_are_private(
    rows_of: MakeRows, quick: EvaluationConfig, tmp_path: Path
) -> None:
    evaluation = evaluate_rows(rows_of(60, texts=[f"{CANARY} {index}" for index in range(60)]), quick)
    words = [ClassWords("a", 1, (WordWeight(CANARY, 1, 0.5),), ())]
    for name, include_text in (("private", False), ("open", True)):
        write_evaluation(
            evaluation,
            tmp_path / name,
            title="test",
            include_text=include_text,
            pictures=list(draw_figures(evaluation)),
            class_words=words,
            explanations=CANARY.encode(),
        )
    assert "text" not in pq.read_schema(tmp_path / "private" / "predictions.parquet").names
    assert [name for name, data in files_in(tmp_path / "private").items() if CANARY.encode() in data] == []
    named = [name for name, data in files_in(tmp_path / "open").items() if CANARY.encode() in data]
    assert {"report.html", "explanations.html"} <= set(named)
    assert b"What counts for each class" in (tmp_path / "open" / "report.html").read_bytes()


def test_the_same_evaluation_gives_the_same_bytes(rows_of: MakeRows, quick: EvaluationConfig, tmp_path: Path) -> None:
    for name in ("first", "again"):
        evaluation = evaluate_rows(rows_of(60), quick)
        write_evaluation(evaluation, tmp_path / name, title="test", pictures=list(draw_figures(evaluation)))
    first, again = files_in(tmp_path / "first"), files_in(tmp_path / "again")
    assert [name for name in first if first[name] != again[name]] == []


def test_a_failing_disk_is_one_line_and_keeps_the_old_files(
    rows_of: MakeRows, quick: EvaluationConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluation = evaluate_rows(rows_of(30), quick)
    write_evaluation(evaluation, tmp_path, title="test")
    old = files_in(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match=r"predictions\.parquet: cannot be written: No space left on device"):
        write_evaluation(evaluate_rows(rows_of(30, seed=9), quick), tmp_path, title="test")
    assert files_in(tmp_path) == old


def test_labels_that_cannot_be_drawn_or_encoded_do_not_stop_the_report(
    rows_of: MakeRows, quick: EvaluationConfig, tmp_path: Path
) -> None:
    labels = ("$x_1$", "日本語", "a" * 250, "\u202eevil\x07")
    rows = rows_of(60, labels)
    write_evaluation(evaluate_rows(rows, quick), tmp_path, title="\udcff")
    assert math.isfinite(json.loads((tmp_path / "metrics.json").read_text())["accuracy"])
