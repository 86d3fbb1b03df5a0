"""Labels that are not sure: read and checked once, learned by the expert, the networks and the calibration."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from textlstm.cli import main
from textlstm.config import Task, TrainingConfig
from textlstm.corpus.rows.probabilities import (
    ProbabilitiesError,
    label_columns,
    labels_of_probabilities,
    read_probabilities,
)
from textlstm.fitting.calibrating import calibrate
from textlstm.model_folder import load_saved_model
from textlstm.models.linear.svm import fit_linear_svm
from textlstm.models.linear.tfidf import SparseRows
from textlstm.training.loss import build_objective, label_counts

WORDS = {"film": ("actor", "plot", "scene"), "money": ("bank", "share", "profit"), "sport": ("goal", "match", "coach")}
TYPED = ["text=fast", "auto=[]", "model.hidden_size=8", "model.embedding_size=8", "training.epochs=2"]
TYPED += ["data.test_fraction=0", "training=deterministic", "training.num_threads=1", "tracking=off", "data=files"]


# One row.


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"sport": 0.8, "tech": 0.2, "travel": 0}, {"sport": 0.8, "tech": 0.2}),
        ('{"sport": 0.8, "tech": "0.2"}', {"sport": 0.8, "tech": 0.2}),
        ({"sport": 0.51, "tech": 0.5}, {"sport": 0.51 / 1.01, "tech": 0.5 / 1.01}),
        ({"sport": 1, "tech": None}, {"sport": 1.0}),
        ([("sport", 0.5), ("tech", 0.5)], {"sport": 0.5, "tech": 0.5}),
        (None, None),
        ("", None),
        (float("nan"), None),
    ],
)
def test_an_object_gives_the_chance_of_each_label(value: object, found: dict[str, float] | None) -> None:
    assert read_probabilities({"p": value}, "p", several=False) == found


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("much", "no object of a number a label"),
        ([0.5, 0.5], "no object of a number a label"),
        ({"sport": "much"}, "no object of a number a label"),
        ({"sport": True}, "no object of a number a label"),
        ({"sport": float("inf")}, "no object of a number a label"),
        ({"sport": -0.1, "tech": 1.1}, "a probability below 0"),
        ({"sport": 80, "tech": 20}, "a probability above 1"),
        ({"sport": 0.5, "tech": 0.4}, "probabilities that do not add up to 1"),
        ({}, "no label"),
    ],
)
def test_what_is_no_probability_has_a_reason(value: object, reason: str) -> None:
    with pytest.raises(ProbabilitiesError, match=f"^{reason}$"):
        read_probabilities({"p": value}, "p", several=False)


def test_columns_give_the_chance_of_each_label() -> None:
    fields = {"text": "a", "p_sport": "0.75", "p_tech": 0.25, "p_": "1", "q": 3}
    assert label_columns(tuple(fields), "p_*") == {"p_sport": "sport", "p_tech": "tech"}
    assert label_columns(("probability[sport]", "probability"), "probability[*]") == {"probability[sport]": "sport"}
    assert read_probabilities(fields, "p_*", several=False) == {"sport": 0.75, "tech": 0.25}
    assert read_probabilities(fields | {"p_sport": "", "p_tech": ""}, "p_*", several=False) is None
    assert read_probabilities(fields | {"p_sport": "", "p_tech": 1}, "p_*", several=False) == {"tech": 1.0}


def test_the_label_is_the_most_probable_and_several_those_of_at_least_a_half() -> None:
    assert labels_of_probabilities({"tech": 0.4, "sport": 0.4, "film": 0.2}, several=False) == ("sport",)
    assert labels_of_probabilities({"tech": 0.5, "sport": 0.9, "film": 0.2}, several=True) == ("sport", "tech")
    assert read_probabilities({"p": {"a": 0.9, "b": 0.9}}, "p", several=True) == {"a": 0.9, "b": 0.9}
    assert read_probabilities({"p": {}}, "p", several=True) == {}


# What learns from them.


def test_a_row_that_is_not_sure_counts_on_both_sides_of_a_machine() -> None:
    random = np.random.default_rng(0)
    dense = random.random((60, 6)).astype(np.float32)
    chances = random.dirichlet(np.ones(3), 60).astype(np.float32)

    def rows(matrix: np.ndarray) -> SparseRows:
        return SparseRows(np.arange(0, 6 * len(matrix) + 1, 6), np.tile(np.arange(6), len(matrix)), matrix.reshape(-1))

    settings: dict[str, Any] = {"num_features": 6, "strength": 1.0, "seed": 0}
    found = fit_linear_svm(
        rows(dense),
        chances.argmax(axis=1),
        num_labels=3,
        task=Task.single_label,
        probabilities=chances,
        row_weights=np.full(60, 2.0),
        **settings,
    )
    # The same from rows that are given twice, with their chance and with the rest.
    for label in range(3):
        twice, has_label = dense.repeat(2, axis=0), np.tile([1, 0], 60)
        parts = np.stack([chances[:, label], 1 - chances[:, label]], axis=1).reshape(-1)
        parts = np.where(parts < 0.02, 0, parts)
        kept = parts > 0
        wanted = fit_linear_svm(
            rows(twice[kept]),
            has_label[kept],
            num_labels=2,
            task=Task.single_label,
            row_weights=2 * parts[kept].astype(float),
            **settings,
        )
        np.testing.assert_allclose(found.weights[:, label], wanted.weights[:, 1], atol=5e-3)
    # Sure probabilities give the machines of the labels.
    sure = np.eye(2, dtype=np.float32)[(chances[:, 0] > 0.4).astype(int)]
    labels = sure.argmax(axis=1)
    of_labels = fit_linear_svm(rows(dense), labels, num_labels=2, task=Task.single_label, **settings)
    of_sure = fit_linear_svm(rows(dense), labels, num_labels=2, task=Task.single_label, probabilities=sure, **settings)
    np.testing.assert_allclose(of_sure.weights, of_labels.weights, atol=5e-3)


@pytest.mark.parametrize("imbalance", ["none", "focal", "class_weights", "logit_adjustment"])
def test_the_loss_of_sure_probabilities_is_that_of_the_labels(imbalance: str) -> None:
    targets = np.array([0, 1, 2, 1])
    settings = {"task": Task.single_label, "num_labels": 3, "device": torch.device("cpu")}
    config = TrainingConfig(imbalance=imbalance)  # type: ignore[arg-type]
    sure = np.eye(3, dtype=np.float32)[targets]
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(3))
    of_labels = build_objective(config, targets=targets, **settings)  # type: ignore[arg-type]
    of_chances = build_objective(config, targets=sure, **settings)  # type: ignore[arg-type]
    torch.testing.assert_close(
        of_chances.losses(logits, torch.from_numpy(sure)), of_labels.losses(logits, torch.from_numpy(targets))
    )
    assert label_counts(np.array([[0.7, 0.3], [0.6, 0.4]]), 2).tolist() == [1, 1]


def test_the_loss_of_half_a_label_is_half_the_loss() -> None:
    objective = build_objective(
        TrainingConfig(), Task.single_label, targets=np.array([0, 1]), num_labels=2, device=torch.device("cpu")
    )
    logits = torch.tensor([[1.0, -1.0]])
    sides = [objective.losses(logits, torch.tensor([label])) for label in (0, 1)]
    between = objective.losses(logits, torch.tensor([[0.25, 0.75]]))
    torch.testing.assert_close(between, 0.25 * sides[0] + 0.75 * sides[1])


def test_the_calibration_is_as_sure_as_the_probabilities() -> None:
    random = np.random.default_rng(1)
    labels = random.integers(0, 3, 300)
    logits = (4 * np.eye(3)[labels] + random.normal(size=(300, 3))).astype(np.float32)
    unsure = np.full((300, 3), 0.15, np.float32)
    unsure[np.arange(300), labels] = 0.7
    sure = calibrate(logits, None, labels, task=Task.single_label)
    found = calibrate(logits, None, unsure, task=Task.single_label)
    assert np.exp(sure.log_probabilities).max(axis=1).mean() > 0.95
    assert 0.6 < np.exp(found.log_probabilities).max(axis=1).mean() < 0.8
    # Probabilities of 0 and 1 are the labels.
    same = calibrate(logits, None, np.eye(3)[labels], task=Task.single_label)
    np.testing.assert_allclose(same.log_probabilities, sure.log_probabilities, atol=1e-4)


# Whole trainings.


def make_rows(num_rows: int, *, unsure: float) -> list[dict[str, Any]]:
    random = np.random.default_rng(4)
    rows = []
    for row in range(num_rows):
        label = list(WORDS)[row % 3]
        chances = {name: round(1 - 2 * unsure, 3) if name == label else unsure for name in WORDS}
        text = f"{' '.join(random.choice(WORDS[label], 4))} the row {row}"
        rows.append({"text": text, "label": label, "chances": chances, **{f"p_{n}": c for n, c in chances.items()}})
    return rows


def train(rows: list[dict[str, Any]], folder: Path, *settings: str) -> dict[str, np.ndarray]:
    folder.mkdir(parents=True)
    path = folder / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    places = [f"data.train={path}", f"prepared_dir={folder / 'prepared'}", f"output_dir={folder / 'model'}"]
    assert main(["train", *TYPED, *places, *settings]) == 0
    return load_saved_model(folder / "model").weights


def test_every_part_of_the_model_learns_from_probabilities(tmp_path: Path) -> None:
    unsure = make_rows(120, unsure=0.2)
    plain = train(unsure, tmp_path / "plain")
    by_object = train(unsure, tmp_path / "object", "data.probabilities_column=chances")
    changed = {name.split(".")[0] for name in plain if not np.array_equal(plain[name], by_object[name])}
    assert changed == {"network", "expert", "gate"}


@pytest.mark.long
def test_columns_give_the_model_of_the_object_and_no_probabilities_that_of_the_labels(tmp_path: Path) -> None:
    unsure = make_rows(120, unsure=0.2)
    plain = train(unsure, tmp_path / "plain")
    by_object = train(unsure, tmp_path / "object", "data.probabilities_column=chances")
    by_columns = train(unsure, tmp_path / "columns", "data.probabilities_column=p_*")
    assert all(np.array_equal(by_object[name], by_columns[name]) for name in plain)
    # Without probabilities in any row the labels are sure: the same model as without the setting.
    for row in unsure:
        row["chances"] = None
    none = train(unsure, tmp_path / "none", "data.probabilities_column=chances")
    assert all(np.array_equal(plain[name], none[name]) for name in plain)


@pytest.mark.long
def test_several_labels_learn_from_probabilities(tmp_path: Path) -> None:
    rows = make_rows(90, unsure=0.1)
    for row in rows:
        row["labels"] = [row["label"]]
    several = "data.labels_column=labels"
    plain = train(rows, tmp_path / "plain", several)
    found = train(rows, tmp_path / "chances", several, "data.probabilities_column=chances")
    changed = {name.split(".")[0] for name in plain if not np.array_equal(plain[name], found[name])}
    assert changed == {"network", "expert", "gate"}


BAD = {
    "one row of each kind": (
        {1: {"film": -1, "money": 2}, 3: {"film": 0.5}, 4: "much", 5: {"film": 40, "money": 60}, 8: {"money": 0.2}},
        "rows.jsonl:2, rows.jsonl:4, rows.jsonl:5, rows.jsonl:6, rows.jsonl:9: column 'chances': 1 row with a "
        "probability below 0, 2 rows with probabilities that do not add up to 1, 1 row with no object of a number a "
        "label, 1 row with a probability above 1. Correct them, leave them empty where the label column says the "
        "label, or set data.probabilities_column to another column.",
    ),
    "labels that no row has": (
        {row: {"film": 0.7, "flim": 0.3} for row in range(0, 24, 3)} | {1: {"money": 0.9, "monye": 0.1}},
        "train: probabilities name labels that are the most probable ones of no row: 'flim' (8 rows), 'monye' "
        "(1 row). Correct the names, or leave them out of the probabilities.",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_probabilities_are_one_message_for_all_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    changes, message = BAD[case]
    rows = make_rows(30, unsure=0.2)
    for row, chances in changes.items():
        rows[row]["chances"] = chances
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    given = [f"data.train={path}", f"prepared_dir={tmp_path / 'prepared'}", "data.probabilities_column=chances"]
    assert main(["prepare", *given, "data=files"]) == 2
    assert [line for line in capsys.readouterr().err.splitlines() if "rows" in line] == [f"textlstm: {message}"]


def test_a_column_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,label,p_film,p_money\n" + "a film,film,1,0\nsome money,money,0,1\n" * 5)
    given = ["prepare", "data=files", f"data.train={path}", f"prepared_dir={tmp_path / 'prepared'}"]
    assert main([*given, "data.probabilities_column=chances"]) == 2
    assert "no column 'chances'; the columns are" in capsys.readouterr().err
    assert main([*given, "data.probabilities_column=q_*"]) == 2
    assert (
        "no column 'q_*'; the columns are 'text', 'label', 'p_film', 'p_money'. Set data.prob"
        in capsys.readouterr().err
    )
    assert main([*given, "data.probabilities_column=*"]) == 2
    assert "a pattern with one * such as p_*" in capsys.readouterr().err
