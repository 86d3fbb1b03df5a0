"""What is learned from validation rows: the rows as they are, and the rows as `evaluation.label_shares` weights them."""

import random
from pathlib import Path

import numpy as np
import pytest

from textlstm.config import EvaluationConfig, Task, TrainConfig
from textlstm.config.overrides import with_settings
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.errors import ConfigError
from textlstm.fitting import fit_classifier
from textlstm.fitting.calibrating import calibrate
from textlstm.inference.classifier import TextClassifier
from textlstm.models.calibration.confidence import AS_IT_IS
from textlstm.models.calibration.temperature import to_probabilities
from textlstm.models.calibration.validation_rows import label_shift_weights
from textlstm.saved_model import Thresholds

LABELS = ("book", "pay", "oos")
SETTINGS = (
    *("text.pos=false", "model.hidden_size=6", "model.embedding_size=5", "evaluation.baseline=false"),
    *("training.epochs=3", "training.learning_rate=0.02", "evaluation.max_error=0.2"),
)


def _logits(num_rows: int, *, seed: int, rare: float) -> tuple[np.ndarray, np.ndarray]:
    """Return logits too sure by half of a class that is right when it seems unlikely, and targets."""
    random_rows = np.random.default_rng(seed)
    targets = random_rows.choice(3, num_rows, p=((1 - rare) / 2, (1 - rare) / 2, rare))
    return 2.0 * (random_rows.standard_t(3, size=(num_rows, 3)) + 2.0 * np.eye(3)[targets]), targets


def test_probabilities_are_calibrated_for_the_shares_that_are_named() -> None:
    logits, targets = _logits(4_000, seed=0, rare=0.04)
    moved, its_targets = _logits(20_000, seed=1, rare=0.4)
    errors, found = [], []
    for weights in (label_shift_weights(targets, LABELS, {"oos": 0.4}), None):  # None: the negative control
        calibrated = calibrate(logits, None, targets, task=Task.single_label, weights=weights)
        assert calibrated.class_bias_gain >= 0
        probabilities = to_probabilities(calibrated.combiner.combine(moved, None), Task.single_label)
        right = probabilities.argmax(axis=1) == its_targets
        errors.append(abs(probabilities.max(axis=1).mean() - right.mean()))
        found.append((probabilities.argmax(axis=1) == 2)[its_targets == 2].mean())
    assert errors[0] < 0.02 < errors[1]
    assert found[0] > found[1] + 0.1


def test_confidence_is_scaled_where_a_temperature_does_not_do() -> None:
    logits, targets = _logits(4_000, seed=0, rare=1 / 3)
    calibrated = calibrate(logits, None, targets, task=Task.single_label)
    assert calibrated.combiner.confidence_slope != AS_IT_IS.slope
    assert calibrated.log_probabilities == pytest.approx(calibrated.combiner.combine(logits, None), abs=0.2)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> PreparedCorpus:
    """Training and validation rows of three classes, the last of them rare."""
    folder, dice = tmp_path_factory.mktemp("corpus"), random.Random(1)
    words = {"book": ("table", "room", "flight"), "pay": ("bank", "bill", "card"), "oos": ("bank", "room", "weather")}
    for name, num_rows in (("train", 200), ("validation", 300)):
        lines = ["text,label"]
        for number in range(num_rows):
            label = "oos" if number % 12 == 0 else LABELS[number % 2]
            lines.append(f"{' '.join(dice.choices((*words[label], 'the', 'please'), k=4 + number % 5))},{label}")
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    files = [f"data.{name}={folder / name}.csv" for name in ("train", "validation")]
    config = with_settings(TrainConfig(), ["data.source=files", *files, *SETTINGS])
    return prepare_corpus(config.data, config.text, prepared_dir=folder / "prepared", num_workers=0)


def test_label_shares_change_gate_and_threshold_and_no_branch(corpus: PreparedCorpus) -> None:
    plain, moved = (
        fit_classifier(corpus, with_settings(TrainConfig(), [*SETTINGS, *more]))
        for more in ([], ["evaluation.label_shares=[oos:0.5]"])
    )
    gates, others = [], []
    for fitted in (plain, moved):
        arrays = {name: value.tobytes() for name, value in fitted.saved_model.weights.items()}
        gates.append({name: value for name, value in arrays.items() if name.startswith("gate.")})
        others.append({name: value for name, value in arrays.items() if not name.startswith("gate.")})
    assert gates[0] != gates[1]
    assert others[0] == others[1]
    assert plain.saved_model.thresholds != moved.saved_model.thresholds
    texts = ["please the weather", "the bank", "the room please"]
    chances = [
        sum(float(p.probability) for p in TextClassifier(fitted.saved_model).predict(texts) if p.label == "oos")
        for fitted in (plain, moved)
    ]
    assert chances[1] > chances[0]


def test_a_model_knows_the_rows_that_it_learned_from(corpus: PreparedCorpus) -> None:
    saved_model = fit_classifier(corpus, with_settings(TrainConfig(), [*SETTINGS])).saved_model
    assert corpus.train is not None
    assert corpus.validation is not None
    for split in (corpus.train, corpus.validation):
        assert saved_model.seen_in_training(split.texts()).all()
    assert saved_model.seen_in_training(["a text of its own", corpus.train.texts()[0] + " "]).tolist() == [False, True]


def test_an_error_rate_out_of_reach_is_said_and_the_model_decides_every_row(corpus: PreparedCorpus) -> None:
    fitted = fit_classifier(corpus, with_settings(TrainConfig(), [*SETTINGS, "evaluation.max_error=0.001"]))
    assert fitted.saved_model.thresholds == Thresholds()
    assert str(fitted.shortfall).startswith(
        "evaluation.max_error=0.001 cannot be guaranteed from 300 validation rows: "
        "the model has no threshold and decides every row. The smallest error rate that they guarantee is about 0."
    )
    decided = TextClassifier(fitted.saved_model).predict(["please the weather", "the bank"])
    assert [prediction.decision.value for prediction in decided] == ["accepted", "accepted"]


def test_a_share_of_an_unknown_label_is_refused_before_the_training(corpus: PreparedCorpus) -> None:
    def on_epoch(_: object) -> None:
        raise AssertionError("trained")

    config = with_settings(TrainConfig(), [*SETTINGS, "evaluation.label_shares=[out:0.5]"])
    with pytest.raises(ConfigError, match="no label is named 'out'"):
        fit_classifier(corpus, config, on_epoch=on_epoch)


def test_several_labels_a_row_have_no_shares(tmp_path: Path) -> None:
    pairs = (("goal", '["sport"]'), ("bank", '["money", "sport"]'))
    rows = [f'{{"text": "{word} {n}", "labels": {given}}}' for n in range(20) for word, given in pairs]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    settings = ["data.source=files", f"data.train={tmp_path / 'rows.jsonl'}", "data.labels_column=labels", *SETTINGS]
    config = with_settings(TrainConfig(), [*settings, "evaluation.label_shares=[sport:0.5]"])
    several = prepare_corpus(config.data, config.text, prepared_dir=tmp_path / "prepared", num_workers=0)
    with pytest.raises(ConfigError, match="one label a text"):
        fit_classifier(several, config)


def test_entries_are_read_from_the_right_and_checked() -> None:
    assert EvaluationConfig(label_shares=["a: b:0.25", "c:0"]).shares_by_label() == {"a: b": 0.25, "c": 0.0}
    for entries, message in (
        (["oos"], "is not label:share"),
        (["oos:much"], "is not label:share"),
        (["oos:1.2"], "is not label:share"),
        (["oos:nan"], "is not label:share"),
        ([":0.2"], "is not label:share"),
        (["a:0.2", "a:0.3"], "names 'a' twice"),
        (["a:0.6", "b:0.5"], "at most 1, got 1.1"),
    ):
        with pytest.raises(ConfigError, match=message):
            EvaluationConfig(label_shares=entries)
