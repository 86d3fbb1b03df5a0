"""Several networks teach one: who answers for which rows, and what is saved."""

from pathlib import Path

import numpy as np
import pytest

from teaching.taught_corpus import Corpus
from textlstm.cli import main
from textlstm.cli.settings import compose_config
from textlstm.config import TrainConfig
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.fitting.distillation import answers_of_networks
from textlstm.fitting.labelled_rows import labelled_rows, with_answers

DISTIL = ("training.num_models=3", "training.distil=true")


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus(tmp_path)


def test_one_network_is_saved_that_the_others_taught(corpus: Corpus, capsys: pytest.CaptureFixture[str]) -> None:
    plain = corpus.weights()
    capsys.readouterr()
    taught = corpus.weights(*DISTIL, "data.unlabelled=AT/unlabelled.jsonl")
    err = capsys.readouterr().err
    assert "unlabelled: 60 rows\n" in err
    assert "3 networks teach one; out of fold they are right in " in err
    # One network, of the names of a plain training; the expert keeps to the labels.
    assert set(taught) == set(plain)
    changed = {name.split(".")[0] for name in plain if not np.array_equal(plain[name], taught[name])}
    assert changed == {"network", "gate"}


@pytest.mark.long
def test_a_row_is_answered_by_the_network_that_has_not_learned_from_it(corpus: Corpus) -> None:
    """Labels that say nothing about the texts cannot be answered out of fold, however often they are seen."""
    random = np.random.default_rng(0)
    for row in corpus.train:
        row["label"] = random.choice(["film", "money", "sport"])
    assert corpus.run("training.epochs=1") == 0
    settings = ["data=files", f"data.train={corpus.folder / 'train.jsonl'}", "text=fast", "training=deterministic"]
    settings += ["model.hidden_size=16", "model.embedding_size=16", "training.epochs=12", "training.num_models=3"]
    settings += ["data.test_fraction=0", "auto=[]", "training.patience=0"]
    config = compose_config("train", TrainConfig, settings)
    prepared = prepare_corpus(config.data, config.text, prepared_dir=corpus.folder / "again", num_workers=1)
    rows = labelled_rows(prepared)
    answers = answers_of_networks(rows, prepared, config, work_dir=None, stop=None)
    assert answers.train is not None
    assert (answers.train.argmax(axis=1) == rows.train_targets).mean() < 0.6
    np.testing.assert_allclose(answers.train.sum(axis=1), 1, atol=1e-5)
    # Half of a target is the answer.
    taught = with_answers(rows, answers, teacher_share=0.5).learned_targets
    np.testing.assert_allclose(taught, (np.eye(3)[rows.train_targets] + answers.train) / 2, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("training.distil=true",), "training.distil needs several networks that teach one; set training.num_models=5"),
        ((*DISTIL, "teacher=answers.jsonl"), "teacher and training.distil are two teachers; set one of them"),
    ],
)
def test_settings_that_exclude_each_other(
    settings: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "data=files", "data.train=rows.jsonl", *settings]) == 2
    assert message in capsys.readouterr().err
