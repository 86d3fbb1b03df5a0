"""A training that was interrupted goes on with the values that it chose, whatever it would choose now."""

from pathlib import Path

import pytest

from textlstm.config import TrainConfig
from textlstm.config.overrides import with_settings
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.errors import InputError
from textlstm.fitting import with_values
from textlstm.fitting.unfinished import unfinished_training, values_of_first_process
from textlstm.model_folder import library_versions


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> PreparedCorpus:
    folder = tmp_path_factory.mktemp("corpus")
    rows = [f"{('goal', 'bank')[number % 2]} number {number},{('sport', 'money')[number % 2]}" for number in range(40)]
    (folder / "train.csv").write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    settings = ["data.source=files", f"data.train={folder / 'train.csv'}", "text.pos=false"]
    config = with_settings(TrainConfig(), settings)
    return prepare_corpus(config.data, config.text, prepared_dir=folder / "prepared", num_workers=1)


def test_chosen_values_are_kept(corpus: PreparedCorpus, tmp_path: Path) -> None:
    config = with_settings(TrainConfig(), [f"output_dir={tmp_path / 'model'}", "text.pos=false"])
    first = unfinished_training(tmp_path / "model", config, corpus)
    assert (first.is_continued, first.values) == (False, {})
    first.remember("run-1", {"training.epochs": 7, "model.embeddings": ["wordllama"]})

    again = unfinished_training(tmp_path / "model", config, corpus)
    assert (again.is_continued, again.resume_key) == (True, "run-1")
    chosen = with_values(config, again.values)
    assert (chosen.training.epochs, chosen.model.embeddings, chosen.auto) == (7, ["wordllama"], [])
    assert values_of_first_process(config, corpus) == again.values  # what other processes of torchrun read

    typed = with_settings(config, ["training.epochs=3"])
    with pytest.raises(InputError, match="holds an unfinished training with other settings"):
        unfinished_training(tmp_path / "model", typed, corpus)


def test_a_training_is_not_continued_by_other_library_versions(
    corpus: PreparedCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = with_settings(TrainConfig(), [f"output_dir={tmp_path / 'model'}", "text.pos=false"])
    unfinished_training(tmp_path / "model", config, corpus).remember("run-1", {})
    versions = library_versions()
    monkeypatch.setattr("textlstm.fitting.unfinished.library_versions", lambda: versions | {"torch": "9.9"})
    with pytest.raises(InputError) as caught:
        unfinished_training(tmp_path / "model", config, corpus)
    assert caught.value.problems == (
        f"{tmp_path / 'model.unfinished'}: holds an unfinished training by other versions: torch {versions['torch']} "
        "(now 9.9); install those, set overwrite=true to start anew, or another output_dir",
    )
    anew = unfinished_training(tmp_path / "model", with_settings(config, ["overwrite=true"]), corpus)
    assert not anew.is_continued
