"""Weights of rows: read and checked once, and heard by the expert, the network, the calibration and the threshold."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from textlstm import InputError, TextClassifier
from textlstm.cli import main
from textlstm.config import Task, TrainingConfig
from textlstm.model_folder import load_saved_model, saved_bytes
from textlstm.models.linear.svm import fit_linear_svm, log_count_ratios
from textlstm.models.linear.tfidf import SparseRows
from textlstm.training.loss import build_objective

WORDS = {"sport": ("goal", "match", "coach"), "money": ("bank", "share", "profit"), "film": ("actor", "plot", "scene")}
SMALL: dict[str, Any] = {
    "auto": [],
    "text": "fast",
    "hidden_size": 8,
    "embedding_size": 8,
    "epochs": 2,
    "num_threads": 1,
    "training": "deterministic",
    "progress": False,
}


def make_rows(num_rows: int) -> tuple[list[str], list[str]]:
    random = np.random.default_rng(4)
    labels = [list(WORDS)[row % 3] for row in range(num_rows)]
    texts = [f"{' '.join(random.choice(WORDS[label], 4))} the row {row}" for row, label in enumerate(labels)]
    return texts, labels


def weights_of(classifier: TextClassifier) -> bytes:
    return saved_bytes(classifier.saved_model)["weights.safetensors"]


@pytest.fixture(scope="module")
def unweighted() -> bytes:
    return weights_of(TextClassifier.fit(*make_rows(120), **SMALL))


@pytest.mark.parametrize("weight", [1.0, 3])
def test_equal_weights_give_the_model_of_no_weights(unweighted: bytes, weight: float) -> None:
    assert weights_of(TextClassifier.fit(*make_rows(120), weights=[weight] * 120, **SMALL)) == unweighted


def test_rows_of_weight_0_are_as_if_they_were_not_there(unweighted: bytes) -> None:
    texts, labels = make_rows(120)
    texts = [*texts, *(f"wrong {word} {number}" for number, word in enumerate(["goal", "bank", "plot"] * 5))]
    labels = [*labels, *["money", "film", "sport"] * 5]
    found = TextClassifier.fit(texts, labels, weights=[1.0] * 120 + [0.0] * 15, **SMALL)
    assert weights_of(found) == unweighted


def test_every_part_of_the_model_hears_the_weights(unweighted: bytes) -> None:
    fit: Callable[..., TextClassifier] = TextClassifier.fit
    held_out = make_rows(150)[0][120:], make_rows(150)[1][120:]
    plain = fit(*make_rows(120), validation=held_out, **SMALL).saved_model.weights
    of_training = fit(
        *make_rows(120), weights=np.linspace(0.1, 2, 120), validation=held_out, **SMALL
    ).saved_model.weights
    changed = {name.split(".")[0] for name, array in plain.items() if not np.array_equal(array, of_training[name])}
    assert changed == {"network", "expert", "baseline", "gate"}
    # Weights of validation rows alone reach the calibration, and the expert that is fitted on all rows at the end.
    of_validation = fit(
        *make_rows(120), weights=[1.0] * 120, validation=(*held_out, np.linspace(0.1, 2, 30)), **SMALL
    ).saved_model.weights
    changed = {name.split(".")[0] for name, array in plain.items() if not np.array_equal(array, of_validation[name])}
    assert changed == {"expert", "baseline", "gate"}


def test_a_column_gives_the_weights_of_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    texts, labels = make_rows(120)
    weights = np.linspace(0.5, 2, 120).tolist()
    rows = zip(texts, labels, weights, strict=True)
    lines = [json.dumps({"text": text, "label": label, "sure": weight}) for text, label, weight in rows]
    Path("rows.jsonl").write_text("\n".join(lines))
    typed = ["text=fast", "auto=[]", "model.hidden_size=8", "model.embedding_size=8", "training.epochs=2"]
    typed += ["data.test_fraction=0", "training=deterministic", "training.num_threads=1", "tracking=off"]
    given = ["data=files", "data.train=rows.jsonl", "data.weight_column=sure", "output_dir=model"]
    assert main(["train", *given, *typed]) == 0
    by_library = TextClassifier.fit(texts, labels, weights=weights, **SMALL)
    assert saved_bytes(load_saved_model(Path("model")))["weights.safetensors"] == weights_of(by_library)


BAD = {
    "text, negative, NaN and null": (
        ["much", -1, "NaN", None, 1, 1],
        "rows.jsonl:1, rows.jsonl:2, rows.jsonl:3, rows.jsonl:4: column 'w': the weight of 4 rows is no number of at "
        "least 0. Correct them, or set data.weight_column to another column.",
    ),
    "many": (
        [-1] * 12,
        ", ".join(f"rows.jsonl:{row}" for row in range(1, 11)) + " and 2 more: column 'w': the weight of 12 rows is no "
        "number of at least 0. Correct them, or set data.weight_column to another column.",
    ),
    "all zero": ([0, 0.0, "0"], "column 'w': all 3 weights are 0, so no row is left to learn from."),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_weights_are_one_message_for_all_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    monkeypatch.chdir(tmp_path)
    weights, message = BAD[case]
    lines = [json.dumps({"text": f"goal {row}", "label": "ab"[row % 2], "w": w}) for row, w in enumerate(weights)]
    Path("rows.jsonl").write_text("\n".join(lines))
    given = ["data=files", "data.train=rows.jsonl", "data.weight_column=w", "tracking=off"]
    assert main(["train", *given]) == 2
    assert [line for line in capsys.readouterr().err.splitlines() if "column 'w'" in line] == [f"textlstm: {message}"]


def test_the_library_names_wrong_weights() -> None:
    texts, labels = make_rows(3)
    with pytest.raises(
        InputError, match=r"^weights\[0\] is -1, weights\[2\] is nan; a weight is a finite number of at"
    ):
        TextClassifier.fit(texts, labels, weights=[-1, 1, float("nan")])
    with pytest.raises(InputError, match=r"^weights has 2 rows, texts has 3$"):
        TextClassifier.fit(texts, labels, weights=[1, 1])
    with pytest.raises(InputError, match=r"^weights: all are zero, so no row is left to learn from$"):
        TextClassifier.fit(texts, labels, weights=[0, 0, 0])
    with pytest.raises(InputError, match=r"^validation has weights and texts have none"):
        TextClassifier.fit(texts, labels, validation=(texts, labels, [1, 1, 1]))


def test_a_row_of_weight_2_counts_as_two_rows_in_machines_and_counts() -> None:
    random = np.random.default_rng(0)
    dense = random.random((40, 6)).astype(np.float32)
    targets = random.integers(0, 3, 40)
    weights = random.integers(1, 4, 40)

    def rows(matrix: np.ndarray) -> SparseRows:
        features = np.tile(np.arange(6), len(matrix))
        return SparseRows(np.arange(0, 6 * len(matrix) + 1, 6), features, matrix.reshape(-1))

    settings = {"num_features": 6, "num_labels": 3, "task": Task.single_label, "strength": 1.0, "seed": 0}
    weighted = fit_linear_svm(rows(dense), targets, **settings, row_weights=weights.astype(float))
    repeated = fit_linear_svm(rows(dense.repeat(weights, axis=0)), targets.repeat(weights), **settings)
    np.testing.assert_allclose(weighted.weights, repeated.weights, atol=2e-3)
    from scipy.sparse import csr_matrix

    matrix = csr_matrix(np.where(dense > 0.5, dense, 0))
    again = csr_matrix(np.where(dense > 0.5, dense, 0).repeat(weights, axis=0))
    np.testing.assert_allclose(
        log_count_ratios(matrix, targets == 1, weights), log_count_ratios(again, targets.repeat(weights) == 1)
    )


def test_a_row_of_weight_2_has_twice_the_gradient() -> None:
    objective = build_objective(
        TrainingConfig(), Task.single_label, targets=np.array([0, 1]), num_labels=2, device=torch.device("cpu")
    )
    logits = torch.tensor([[1.0, -1.0], [0.5, 0.2]], requires_grad=True)
    (objective.losses(logits, torch.tensor([0, 1])) * torch.tensor([2.0, 1.0])).sum().backward()
    weighted, logits.grad = logits.grad, None
    objective.losses(logits, torch.tensor([0, 1])).sum().backward()
    assert torch.allclose(weighted, logits.grad * torch.tensor([[2.0], [1.0]]))
