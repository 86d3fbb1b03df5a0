"""Fitting from Python: the same engine as the command, any kind of column, nothing left behind."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import textlstm
from textlstm import ConfigError, InputError, IntegrityError, TextClassifier
from textlstm.cli import main
from textlstm.model_folder import load_saved_model, saved_bytes


def write_jsonl(path: Path, texts: list[str], labels: list[str]) -> Path:
    lines = [json.dumps({"text": text, "label": label}) for text, label in zip(texts, labels, strict=True)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_importing_the_package_loads_nothing(tmp_path: Path) -> None:
    code = (
        "import time; start = time.perf_counter(); import textlstm; seconds = time.perf_counter() - start\n"
        "import sys; print(seconds < .1, [m for m in ('torch', 'numpy', 'spacy', 'hydra') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split(" ", 1) == ["True", "[]\n"]


def test_public_names_are_those_of_the_stub() -> None:
    stub = Path(textlstm.__file__).with_suffix(".pyi").read_text()
    listed = stub[stub.index("__all__") :].split('"')[1::2]
    assert listed == textlstm.__all__
    assert [name for name in listed if not hasattr(textlstm, name)] == []
    with pytest.raises(AttributeError, match="module 'textlstm' has no attribute 'Classifier'"):
        textlstm.Classifier  # noqa: B018


def test_fit_gives_the_weights_of_the_command(
    rows: Any, other_rows: Any, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "train.jsonl", rows.texts, rows.labels)
    write_jsonl(tmp_path / "validation.jsonl", other_rows.texts, other_rows.labels)
    typed = ["text=fast", "auto=[]", "model.hidden_size=8", "model.embedding_size=8", "training.epochs=2", "seed=3"]
    typed += ["data.test_fraction=0", "training=deterministic", "tracking=off", "output_dir=model"]
    given = ["data=files", "data.train=train.jsonl", "data.validation=validation.jsonl"]
    assert main(["train", *given, *typed]) == 0
    by_command = load_saved_model(tmp_path / "model")
    fit: Callable[..., TextClassifier] = TextClassifier.fit
    classifier = fit(*rows, validation=other_rows, training="deterministic", seed=3, **settings)
    by_library = classifier.saved_model
    assert saved_bytes(by_library)["weights.safetensors"] == saved_bytes(by_command)["weights.safetensors"]
    assert by_library.vocabulary.to_lines() == by_command.vocabulary.to_lines()
    other = fit(*rows, validation=other_rows, training="deterministic", seed=4, **settings).saved_model
    assert saved_bytes(other)["weights.safetensors"] != saved_bytes(by_command)["weights.safetensors"], "control"


def test_fit_leaves_nothing_behind(
    rows: Any, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    folder, temporary = tmp_path / "work", tmp_path / "temporary"
    folder.mkdir(), temporary.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    TextClassifier.fit(*rows, **settings)
    assert [*folder.iterdir(), *(path for path in temporary.iterdir() if not path.name.startswith("torch"))] == []
    assert capfd.readouterr() == ("", "")


def test_what_is_asked_for_is_kept(
    rows: Any, settings: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="textlstm"):
        TextClassifier.fit(*rows, output_dir=str(tmp_path / "model"), **settings)
    assert TextClassifier.load(tmp_path / "model").labels == ("film", "money", "sport")
    assert any(message.startswith("epoch 1: loss") for message in caplog.messages)


COLUMNS: dict[str, Callable[[list[str]], Any]] = {
    "numpy": np.array,
    "series": lambda values: pd.Series(values, index=range(7, 7 + len(values))),
    "categorical": lambda values: pd.Series(values, dtype="category"),
    "arrow": pa.array,
    "generator": iter,
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_every_kind_of_column_gives_the_same_model(
    classifier: TextClassifier, rows: Any, settings: dict[str, Any], kind: str
) -> None:
    column = COLUMNS[kind]
    found = TextClassifier.fit(column(rows.texts), column(rows.labels), training="deterministic", **settings)
    assert found.predict(rows.texts[:9]) == classifier.predict(rows.texts[:9])


def test_numbers_and_booleans_are_labels(rows: Any, settings: dict[str, Any]) -> None:
    numbers = TextClassifier.fit(
        rows.texts, np.array([1 if label == "film" else 20 for label in rows.labels]), **settings
    )
    assert numbers.labels == ("1", "20")
    booleans = TextClassifier.fit(rows.texts, [label == "film" for label in rows.labels], **settings)
    assert booleans.labels == ("false", "true")


def test_lists_of_labels_make_a_classifier_that_gives_several(rows: Any, settings: dict[str, Any]) -> None:
    several = [{label, "short" if len(text) < 50 else "long"} for text, label in zip(*rows, strict=True)]
    classifier = TextClassifier.fit(rows.texts, several, **settings)
    assert classifier.labels == ("film", "long", "money", "short", "sport")
    report = classifier.evaluate(rows.texts, several)
    assert set(report.figures) >= {"subset_accuracy", "micro_f1", "macro_f1"}
    with pytest.raises(InputError, match=r"^labels are one a row, but the model gives a text several; give a list"):
        classifier.evaluate(*rows)


WRONG_ROWS: dict[str, tuple[Any, Any, str]] = {
    "one text more": (["a", "b"], ["x"], "texts has 2 rows, labels has 1"),
    "no label": (
        ["a", "b", "c"],
        ["x", None, float("nan")],
        "labels[1] is None, not a label (a str, a number, a bool)\n"
        "labels[2] is nan, not a label (a str, a number, a bool)",
    ),
    "one list": (["a", "b"], [["x"], "y"], "labels[1] is 'y', not a list of labels"),
    "one str": (["a", "b"], "xy", "labels is one str, not a list; put brackets around it: [labels]"),
    "no text": (
        ["a", None],
        ["x", "y"],
        'texts[1] is None, not a str; drop missing rows or fill them, as in texts.fillna("")',
    ),
}


@pytest.mark.parametrize("name", WRONG_ROWS)
def test_wrong_rows_are_named(name: str) -> None:
    texts, labels, message = WRONG_ROWS[name]
    with pytest.raises(InputError) as refusal:
        TextClassifier.fit(texts, labels)
    assert str(refusal.value) == message


def test_rows_that_the_stage_refuses_are_named_without_a_folder(rows: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(InputError) as refusal:
        TextClassifier.fit(["", " ", *rows.texts], ["film", "film", *rows.labels], **settings)
    assert refusal.value.problems == (
        "texts: 2 of 152 rows cannot be used; data.max_reject_fraction=0.01 allows 1. Mend the rows or raise "
        "data.max_reject_fraction.",
        "texts[0]: the text is empty or only white space",
        "texts[1]: the text is empty or only white space",
    )
    with pytest.raises(InputError, match=r"^train: "):
        TextClassifier.fit(["a", "b"], ["x", "x"], **settings)


WRONG_SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"training.epoch": 1}, "training.epoch: no such setting; did you mean 'training.epochs'?"),
    "out of range": ({"epochs": 0}, "training.epochs must be at least 1, got 0"),
    "of the rows": ({"data.train": ["x.csv"]}, "data.train: the rows are given as texts and labels;"),
    "by the last part of its key": ({"max_error": 2}, "evaluation.max_error must be in [0, 1), got 2.0"),
    "quality": ({"quality": "perfect"}, "training.quality: "),
}


@pytest.mark.parametrize("name", WRONG_SETTINGS)
def test_wrong_settings_are_refused_in_a_line(rows: Any, name: str) -> None:
    given, message = WRONG_SETTINGS[name]
    with pytest.raises(ConfigError) as refusal:
        TextClassifier.fit(*rows, **given)
    assert str(refusal.value).startswith(message)


def test_saved_and_loaded_it_predicts_the_same(classifier: TextClassifier, rows: Any, tmp_path: Path) -> None:
    folder = classifier.save(tmp_path / "model")
    again = TextClassifier.load(folder)
    np.testing.assert_array_equal(again.predict_proba(rows.texts), classifier.predict_proba(rows.texts))
    with pytest.raises(InputError, match="holds a model; set overwrite=true to replace it"):
        classifier.save(folder)
    classifier.save(folder, overwrite=True)
    with pytest.raises(IntegrityError, match="no model here"):
        TextClassifier.load(tmp_path / "nothing")


def test_evaluate_gives_intervals_and_the_baseline(classifier: TextClassifier, other_rows: Any) -> None:
    report = classifier.evaluate(*other_rows, bootstrap_samples=100)
    figure = report.figures["accuracy"]
    right = [p.label == label for p, label in zip(classifier.predict(other_rows.texts), other_rows.labels, strict=True)]
    assert figure.value == pytest.approx(np.mean(right))
    assert figure.low <= figure.value <= figure.high
    assert report.baseline["accuracy"].value > 0.8
    assert repr(report).splitlines()[0] == "60 rows, 95% intervals"
    assert "<th>accuracy</th>" in report._repr_html_()
    with pytest.raises(InputError, match="labels are lists, but the model gives one label a text"):
        classifier.evaluate(other_rows.texts, [[label] for label in other_rows.labels])


def test_explain_names_the_words(classifier: TextClassifier, tmp_path: Path) -> None:
    explanations = classifier.explain(["the coach said goal"])
    assert len(explanations) == 1
    assert {entry.word for entry in explanations.words(0)} == {"the", "coach", "said", "goal"}
    assert repr(explanations).startswith("sport ")
    assert explanations.save(tmp_path / "why.html").read_text().startswith("<!doctype html>")
    assert explanations._repr_html_().startswith('<iframe srcdoc="&lt;!doctype')


def test_it_shows_what_it_is(classifier: TextClassifier) -> None:
    assert repr(classifier) == "TextClassifier(3 labels: film, money, sport; lstm of 8 units + linear expert)"
    assert "<th>labels</th><td>3: film, money, sport</td>" in classifier._repr_html_()


def test_a_registered_model_is_loaded_by_its_address(rows: Any, settings: dict[str, Any], tmp_path: Path) -> None:
    store = {"tracking.dir": str(tmp_path / "tracking"), "tracking.enabled": True}
    fitted = TextClassifier.fit(*rows, **settings, **store)
    found = TextClassifier.load("models:/textlstm@champion", tracking_dir=str(tmp_path / "tracking"))
    assert found.predict(rows.texts[:6]) == fitted.predict(rows.texts[:6])


@pytest.mark.long
def test_fit_on_r8_is_train_on_r8(corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gzip

    monkeypatch.chdir(tmp_path)
    file = corpora / "r8" / "train.jsonl.gz"
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        found = [json.loads(line) for line in lines]
    typed = ["data=files", f"data.train={file}", "data.test_fraction=0", "training=deterministic", "tracking=off"]
    assert main(["train", *typed, "auto=[]", "training.epochs=1", "output_dir=model"]) == 0
    texts, labels = [row["text"] for row in found], [row["label"] for row in found]
    fitted = TextClassifier.fit(texts, labels, training="deterministic", auto=[], epochs=1)
    by_command = saved_bytes(load_saved_model(tmp_path / "model"))
    assert saved_bytes(fitted.saved_model)["weights.safetensors"] == by_command["weights.safetensors"]
