"""`training.refit`: the saved networks have seen the validation rows, and nothing that was learned from those rows has."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textlstm.config import TrainConfig
from textlstm.config.overrides import with_settings
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.errors import Interrupted
from textlstm.fitting import Fitted, classifier, fit_classifier
from textlstm.training.job import EpochReport

WORDS = {"sport": ("goal", "match", "coach"), "money": ("bank", "share", "profit")}
SETTINGS = (
    *("text.pos=false", "model.hidden_size=6", "model.embedding_size=5", "evaluation.baseline=false"),
    *("training.epochs=3", "training.deterministic=true", "training.learning_rate=0.02"),
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> PreparedCorpus:
    """60 training rows, and 30 for validation that have words of their own."""
    folder, dice = tmp_path_factory.mktemp("corpus"), random.Random(1)
    for name, num_rows, more in (("train", 60, ()), ("validation", 30, ("invoice", "referee"))):
        lines = ["text,label"]
        for number in range(num_rows):
            label = list(WORDS)[number % 2]
            lines.append(f"{' '.join(dice.choices((*WORDS[label], *more, 'the', 'said'), k=4 + number % 5))},{label}")
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    files = [f"data.{name}={folder / name}.csv" for name in ("train", "validation")]
    config = with_settings(TrainConfig(), ["data.source=files", *files, *SETTINGS])
    return prepare_corpus(config.data, config.text, prepared_dir=folder / "prepared", num_workers=0)


def _fit(corpus: PreparedCorpus, *settings: str, **more: Any) -> Fitted:
    return fit_classifier(corpus, with_settings(TrainConfig(), [*SETTINGS, *settings]), **more)


def _weights(fitted: Fitted, part: str) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in fitted.saved_model.weights.items() if name.startswith(part)}


def test_networks_see_validation_rows_and_the_gate_does_not_change(corpus: PreparedCorpus) -> None:
    epochs: list[EpochReport] = []
    once = _fit(corpus)
    twice = _fit(corpus, "training.refit=true", on_refit_epoch=epochs.append)
    assert {"invoice", "referee"} & set(once.saved_model.vocabulary.tokens) == set()
    assert {"invoice", "referee"} <= set(twice.saved_model.vocabulary.tokens)
    assert _weights(once, "network.") != _weights(twice, "network.")
    assert _weights(once, "gate.") == _weights(twice, "gate.")
    assert once.saved_model.thresholds == twice.saved_model.thresholds
    assert np.array_equal(once.validation_probabilities, twice.validation_probabilities)
    assert (once.refits, len(twice.refits)) == ((), 1)
    assert [report.epoch for report in epochs] == list(range(1, twice.results[0].best_epoch + 1))


def test_refit_does_not_wait_for_linear_fits(corpus: PreparedCorpus, monkeypatch: pytest.MonkeyPatch) -> None:
    # Other processes of a training go on to the refit at once, and would wait there for the first one.
    order: list[str] = []
    plain_models, plain_refit = classifier.linear_models, classifier.refit_networks

    @contextmanager
    def linear_models(*args: Any, **kwargs: Any) -> Iterator[Any]:
        with plain_models(*args, **kwargs) as result:

            def noted(stop: Any) -> Any:
                order.append("linear")
                return result(stop)

            yield noted

    def refit_networks(*args: Any, **kwargs: Any) -> Any:
        order.append("refit")
        return plain_refit(*args, **kwargs)

    monkeypatch.setattr(classifier, "linear_models", linear_models)
    monkeypatch.setattr(classifier, "refit_networks", refit_networks)
    _fit(corpus, "training.refit=true")
    assert order == ["refit", "linear"]


def test_rows_of_a_label_that_training_lacks_are_left_out(tmp_path: Path) -> None:
    known = "goal match,sport\nbank share,money\n"
    rows = {"train": known * 10, "validation": "goal coach,sport\nbank profit,money\nplot actor,film\n", "test": known}
    for name, lines in rows.items():
        (tmp_path / f"{name}.csv").write_text(f"text,label\n{lines}", encoding="utf-8")
    files = [f"data.{name}={tmp_path / name}.csv" for name in rows]
    config = with_settings(TrainConfig(), ["data.source=files", *files, *SETTINGS])
    stranger = prepare_corpus(config.data, config.text, prepared_dir=tmp_path / "prepared", num_workers=0)
    tokens = set(_fit(stranger, "training.refit=true").saved_model.vocabulary.tokens)
    assert {"coach", "profit"} <= tokens
    assert {"plot", "actor"} & tokens == set()


def test_stopped_refit_continues_with_equal_bytes(corpus: PreparedCorpus, tmp_path: Path) -> None:
    whole = _fit(corpus, "training.refit=true")
    epochs: list[EpochReport] = []
    with pytest.raises(Interrupted):
        _fit(
            corpus,
            "training.refit=true",
            work_dir=tmp_path,
            on_refit_epoch=epochs.append,
            stop=lambda: 15 if epochs else 0,
        )
    again: list[EpochReport] = []
    continued = _fit(corpus, "training.refit=true", work_dir=tmp_path, on_epoch=again.append)
    assert again == []  # the first training was over
    assert _weights(continued, "") == _weights(whole, "")
    assert any(event.startswith("refit: continued from epoch") for event in continued.events())


def test_stopped_refit_continues_only_where_there_is_something_left(corpus: PreparedCorpus, tmp_path: Path) -> None:
    """Negative control of the test above: without the first call's checkpoints both trainings run."""
    again: list[EpochReport] = []
    _fit(corpus, "training.refit=true", work_dir=tmp_path, on_epoch=again.append)
    assert len(again) == 3
