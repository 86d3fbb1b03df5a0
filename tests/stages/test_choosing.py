"""Which words are read is chosen before the rest, and the corpus is prepared anew where that asks for it."""

import random
from pathlib import Path

import pytest

from textlstm.cli.settings import compose_config
from textlstm.config import TrainConfig
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.fitting import fit_classifier, typed_settings
from textlstm.stages.choosing import choose_settings, with_earlier_values
from textlstm.stages.prepare import prepared

STOP_WORDS = "the of and to in that it is was for on are with as at be this have from by".split()  # noqa: SIM905
NOUNS = {
    "no": "apple army artist bottle brother camera candle castle ceiling chair chicken church city coffee cousin",
    "yes": "jacket kitchen lawyer library machine mirror money mother mountain museum ocean orange palace pencil piano",
}
SMALL = (
    *("model.hidden_size=8", "model.embeddings=[]", "model.embedding_size=8", "training.deterministic=true"),
    *("training.cross_fit=0", "training.adversarial=0", "training.refit=false", "training.epochs=2"),
    *("model.linear_expert=false", "evaluation.baseline=false", "tracking=off"),
)


def _shared(folder: Path) -> list[str]:
    """Return the settings of a corpus in which stop words hurt."""
    dice = random.Random(1)
    for name, num_rows in (("train", 700), ("validation", 40)):
        lines = ["text,label"]
        for number in range(num_rows):
            label = list(NOUNS)[number % 2]
            words = [*dice.choices(STOP_WORDS, k=20), dice.choice(NOUNS[label].split())]
            dice.shuffle(words)
            lines.append(f"{' '.join(words)},{label}")
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    files = [f"data.{name}={folder / name}.csv" for name in ("train", "validation")]
    return ["data=files", *files, f"prepared_dir={folder / 'prepared'}", *SMALL]


def _config(*settings: str) -> TrainConfig:
    config: TrainConfig = compose_config("train", TrainConfig, settings)
    return config


def _tokens(corpus: PreparedCorpus) -> set[str]:
    assert corpus.train is not None
    return set(corpus.train.token_counts())


def test_the_corpus_follows_the_choice_and_typed_values_give_the_same_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = _shared(tmp_path)
    config = _config(*shared)
    whole = prepared(config)
    assert "the" in _tokens(whole)
    chosen = choose_settings(config, whole, measure_speed=False)
    assert chosen.values["text.stop_words"] == "remove"
    assert "auto: without stop words: " in capsys.readouterr().err
    assert "the" not in _tokens(chosen.corpus)
    assert "apple" in _tokens(chosen.corpus)

    # A continued training, and a user who types the values, have the same corpus and the same model.
    again = with_earlier_values(config, whole, chosen.values)
    assert (again.config, again.corpus.key) == (chosen.config, chosen.corpus.key)
    typed = _config(*shared, *typed_settings(chosen.values).split(), "auto=[]")
    by_hand = prepared(typed)
    assert by_hand.key == chosen.corpus.key
    first, second = (
        fit_classifier(corpus, settings).saved_model
        for corpus, settings in ((chosen.corpus, chosen.config), (by_hand, typed))
    )
    assert {name: array.tobytes() for name, array in first.weights.items()} == {
        name: array.tobytes() for name, array in second.weights.items()
    }
    assert first.text == second.text

    # The negative control: all words give another corpus.
    other = prepared(_config(*shared, *typed_settings(chosen.values).split(), "auto=[]", "text.stop_words=keep"))
    assert other.key == whole.key != by_hand.key
