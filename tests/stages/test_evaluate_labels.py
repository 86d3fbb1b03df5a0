"""Stage evaluate with labels and columns that are not those of the model: told before anything is scored."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from textlstm.cli import main
from textlstm.config import Task
from textlstm.model_folder import load_saved_model, save_saved_model
from textlstm.saved_model import Columns, Thresholds

ROWS = (("coach said a goal", "sport"), ("bank profit", "money"), ("an actor and the plot", "film"))


@pytest.fixture(scope="module")
def several_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as if it had been trained on the column `topics`, several labels a row."""
    saved_model = replace(
        load_saved_model(tiny_model),
        task=Task.multi_label,
        columns=Columns(labels="topics", label_separator="|"),
        thresholds=Thresholds(per_class=(0.5, 0.5, 0.5)),
    )
    return save_saved_model(saved_model, tmp_path_factory.mktemp("several") / "model")


def write(folder: Path, rows: tuple[tuple[str, str], ...], *, column: str = "label") -> Path:
    path = folder / "rows.csv"
    path.write_text("".join(f"{text},{label}\n" for text, label in (("text", column), *rows)))
    return path


def evaluate(model: Path, rows: Path, *settings: str) -> int:
    folder = rows.parent
    command = ["evaluate", f"model_dir={model}", f"data.test={rows}", f"output_dir={folder / 'E'}"]
    command += [f"prepared_dir={folder / 'prepared'}", "num_workers=1", "tracking=off"]
    return main([*command, "evaluation.bootstrap_samples=20", "evaluation.report=false", *settings])


def refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the message, after a look that nothing was scored."""
    assert not (folder / "E").exists()
    return capsys.readouterr().err


def test_some_unknown_labels_are_told_and_count_as_wrong(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(tiny_model, write(tmp_path, (*ROWS, ("striker scores", "football")))) == 0
    assert (
        "warning: test: 1 row with labels that the model does not have count as always wrong: 'football'\n"
        in capsys.readouterr().err
    )
    metrics = json.loads((tmp_path / "E" / "metrics.json").read_text())
    assert metrics["num_examples"] == 4
    assert metrics["accuracy"] <= 0.75


def test_labels_of_which_none_is_known_are_refused(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(tiny_model, write(tmp_path, (("a goal", "1"), ("a bank", "2")))) == 2
    assert refused(tmp_path, capsys) == (
        "textlstm: test: none of the labels in data.label_column=label is known: '1', '2'; the model has 'film', "
        "'money', 'sport'. Name the column that holds those, or correct the labels.\n"
    )


def test_labels_that_only_look_unknown_are_told_together(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = (*ROWS, ("a goal and a bank", "sport; money"), ("a match", "Sport"))
    assert evaluate(tiny_model, write(tmp_path, rows)) == 2
    assert refused(tmp_path, capsys) == (
        "textlstm: test: labels look alike: 'Sport' (1 row) and 'sport' (1 row) differ in upper and lower case. "
        "Make them one.\n"
        "textlstm: test: 1 row with several labels of the model in one: 'sport; money'. Give each row one label; "
        "several (';' between them) are for multi-label models, with data.labels_column and data.label_separator.\n"
    )


def test_several_labels_are_refused_by_a_model_that_gives_one(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write(tmp_path, (("a goal", "sport|money"),), column="topics")
    assert evaluate(tiny_model, rows, "data.labels_column=topics", "data.label_separator=|") == 2
    assert refused(tmp_path, capsys) == (
        "textlstm: data.labels_column=topics names several labels a row, but the model gives exactly one. Leave it "
        "away and name the column with one label; the model was trained with data.label_column=label.\n"
    )


def test_one_label_is_refused_by_a_model_that_gives_several(
    several_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(several_model, write(tmp_path, ROWS)) == 2
    assert refused(tmp_path, capsys) == (
        "textlstm: data.labels_column is empty, but the model gives a row several labels (multi-label). Name the "
        "column that holds all labels of a row; the model was trained with data.labels_column=topics "
        "data.label_separator='|'.\n"
    )


def test_another_separator_is_refused_with_the_one_to_set(
    several_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write(tmp_path, (*ROWS, ("goal bank", "sport|money"), ("plot bank", "film|money")), column="topics")
    settings = ("data.labels_column=topics", "data.label_separator=;")
    assert evaluate(several_model, rows, *settings) == 2
    assert refused(tmp_path, capsys) == (
        "textlstm: test: 2 rows with several labels of the model in one: 'film|money', 'sport|money'. "
        "Set data.label_separator='|'.\n"
    )
    assert evaluate(several_model, rows, settings[0], "data.label_separator=|") == 0  # negative control
    assert json.loads((tmp_path / "E" / "metrics.json").read_text())["num_examples"] == 5
