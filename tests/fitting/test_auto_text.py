"""Which words a network reads: kept where nothing is gained, chosen where held-out rows say so, never what was typed."""

import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from textlstm.cli.settings import compose_config
from textlstm.config import TrainConfig
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.fitting import auto_text, resolve_text
from textlstm.fitting.auto_text import TEXT_KEYS, choose_text, first_characters
from textlstm.fitting.text_trials import TextTrial, Variant

SMALL = ("model.hidden_size=8", "model.embeddings=[]", "model.embedding_size=8", "training.deterministic=true")
NOUNS = re.findall(
    r"\w+",
    "apple army artist bottle brother camera candle castle ceiling chair chicken church city coffee cousin daughter "
    "desk dinner doctor dragon engine farmer father forest garden guitar hammer hospital hotel island jacket kitchen "
    "lawyer library machine mirror money mother mountain museum ocean orange palace pencil piano planet prison river",
)
ADJECTIVES = re.findall(
    r"\w+",
    "angry ancient beautiful bitter brave busy calm careful cheap clever cold curious dangerous dirty eager early "
    "empty famous fierce foolish gentle happy heavy honest hungry huge jealous lazy lonely loud modern narrow nervous "
    "noisy old polite poor proud quick quiet rich sad serious sharp sick silent slow stupid sweet tall tired ugly weak",
)
STOP_WORDS = "the of and to in that it is was for on are with as at be this have from by".split()  # noqa: SIM905


def _corpus(folder: Path, write: Callable[[random.Random, int], str], *, rows: int = 700) -> PreparedCorpus:
    """Return a corpus of two labels whose texts `write` makes; 40 more rows are for validation."""
    dice = random.Random(1)
    for name, num_rows in (("train", rows), ("validation", 40)):
        lines = ["text,label"]
        lines += [f"{write(dice, number % 2)},{('no', 'yes')[number % 2]}" for number in range(num_rows)]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    config = _config(folder)
    return prepare_corpus(config.data, config.text, prepared_dir=folder / "prepared", num_workers=1)


def _config(folder: Path, *typed: str) -> TrainConfig:
    files = [f"data.{name}={folder / name}.csv" for name in ("train", "validation")]
    settings = ["data=files", *files, *SMALL, *typed]
    config: TrainConfig = compose_config("train", TrainConfig, settings)
    return config


def _nouns_among_stop_words(dice: random.Random, label: int) -> str:
    """Return a text whose label one noun tells, among stop words that tell nothing."""
    words = [*dice.choices(STOP_WORDS, k=20), dice.choice(NOUNS[:25] if label else NOUNS[25:]), dice.choice(NOUNS)]
    dice.shuffle(words)
    return " ".join(words)


def _two_words(dice: random.Random, label: int) -> str:
    """Return an adjective and a noun whose order is the label: only tags tell, for a pair of words is rare."""
    pair = [dice.choice(ADJECTIVES), dice.choice(NOUNS)]
    return " ".join(pair if label else reversed(pair))


def _sentence(dice: random.Random, label: int) -> str:
    """Return an ordinary sentence: one of the stop words says as much as one of the nouns."""
    person, where = (("he", "at") if label else ("she", "near")) if dice.random() < 0.8 else ("they", "by")
    return f"{person} saw the {dice.choice(NOUNS[:40] if label else NOUNS[10:])} {where} the {dice.choice(NOUNS)}"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> PreparedCorpus:
    """560 training rows in which stop words hurt."""
    return _corpus(tmp_path_factory.mktemp("stopped"), _nouns_among_stop_words, rows=700)


def _folder(corpus: PreparedCorpus) -> Path:
    return corpus.directory.parent.parent


def test_stop_words_that_hurt_are_removed(stopped: PreparedCorpus) -> None:
    config = _config(_folder(stopped))
    resolved = resolve_text(config, stopped)
    assert resolved.values == {
        "text.pos": False,
        "text.stop_words": "remove",
        "text.keep_pos": [],
        "model.pos_embedding_size": 0,
    }
    assert resolved.config.auto == [key for key in config.auto if key not in TEXT_KEYS]
    [line] = resolved.reasons
    assert re.fullmatch(
        r"without stop words: [\d.]+% of 560 held-out training rows; all words [\d.]+%, content words only [\d.]+%, "
        r"tags beside words [\d.]+%; a small network: without stop words [\d.]+%, all words [\d.]+%",
        line,
    )


def test_tags_are_taken_where_they_decide(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path, _two_words, rows=800)
    resolved = resolve_text(_config(tmp_path), corpus)
    assert resolved.values == {
        "text.pos": True,
        "text.stop_words": "keep",
        "text.keep_pos": [],
        "model.pos_embedding_size": 16,
    }
    assert resolved.config.text.pos
    # With text.pos=false typed there is nothing to try but stop words.
    config = _config(tmp_path, "text.pos=false")
    choice = choose_text(config, corpus, [key for key in TEXT_KEYS if key in config.auto])
    assert [trial.name for trial in choice.trials] == ["all words", "without stop words"]
    assert choice.values == {}


def test_all_words_are_kept_on_ordinary_rows(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path, _sentence, rows=700)
    choice = choose_text(_config(tmp_path), corpus, TEXT_KEYS)
    assert (choice.values, choice.network_trials) == ({}, ())
    assert len(choice.trials) == 4
    assert choice.reason.startswith("all words kept: ")


def test_what_wins_by_the_linear_classifier_alone_is_not_taken(
    stopped: PreparedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto_text, "network_logits", lambda variant, table, targets, *_, **__: np.eye(2)[targets])
    choice = choose_text(_config(_folder(stopped)), stopped, ["text.stop_words"])
    assert choice.values == {}
    assert choice.reason.endswith("; a small network: without stop words 100.0%, all words 100.0%")


def test_a_network_that_learned_less_than_the_linear_classifier_is_no_judge(
    stopped: PreparedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def logits(variant: Variant, table: object, targets: np.ndarray, *_: object, **__: object) -> np.ndarray:
        # Half of the rows are right with all words, 60 % without stop words: a clear win, of a weak network.
        share = 0.6 if variant.values else 0.5
        told = np.where(np.arange(len(targets)) < share * len(targets), targets, 1 - targets)
        return np.eye(2)[told]

    monkeypatch.setattr(auto_text, "network_logits", logits)
    choice = choose_text(_config(_folder(stopped)), stopped, ["text.stop_words"])
    assert choice.values == {}
    assert choice.reason.endswith(
        "; a small network, which has learned too little to judge by: without stop words 60.0%, all words 50.0%"
    )


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        (["text.stop_words=keep", "text.keep_pos=[]", "model.pos_embedding_size=0"], ""),
        (["auto=[]"], ""),
        (["training.quality=fast"], ""),
        (["training.minutes=0.5"], "all words kept: training.minutes leaves no time to try other ways of reading"),
        (["text.stop_words=keep"], ""),
    ],
)
def test_typed_values_and_short_times_are_kept(stopped: PreparedCorpus, typed: list[str], reason: str) -> None:
    config = _config(_folder(stopped), *typed, "text.pos=false")
    resolved = resolve_text(config, stopped)
    assert (resolved.config.text, resolved.config.model) == (config.text, config.model)
    assert "".join(resolved.reasons).startswith(reason) if reason else resolved.reasons == ()
    assert set(resolved.values) <= {"text.pos", *config.auto}


def test_few_rows_and_other_processes_keep_all_words(tmp_path: Path, stopped: PreparedCorpus) -> None:
    few = _corpus(tmp_path, _sentence, rows=100)
    assert choose_text(_config(tmp_path), few, TEXT_KEYS).reason == (
        "all words kept: 80 training rows are too few to choose by"
    )
    alone = choose_text(_config(_folder(stopped)), stopped, TEXT_KEYS, in_one_process=False)
    assert alone.reason == "all words kept: other ways of reading are tried in one process only"


def test_without_a_spacy_model_tags_are_not_tried_and_the_line_says_so(
    stopped: PreparedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textlstm.text.spacy_models.candidate_models", lambda language: ("no_such_model",))
    choice = choose_text(_config(_folder(stopped)), stopped, ["text.keep_pos", "model.pos_embedding_size"])
    assert [trial.name for trial in choice.trials] == ["all words"]
    assert choice.reason.endswith("; parts of speech not tried: no spaCy model for 'en' is installed")


def test_tags_that_would_take_longer_than_the_time_are_not_tried(
    stopped: PreparedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto_text, "_TAGGED_A_SECOND", 10)
    choice = choose_text(_config(_folder(stopped)), stopped, ["text.keep_pos"])
    assert re.search(r"; parts of speech not tried: to tag all rows would take about [\d,]+ s$", choice.reason)


def test_a_difference_within_chance_wins_nothing() -> None:
    losses = np.full(400, 0.5)
    base = TextTrial("all words", np.repeat([1.0, 0.0], 200), losses)
    by_chance = TextTrial("other", np.where(np.arange(400) % 100 == 0, 1 - base.right, base.right), losses)
    better = TextTrial("better", np.where(np.arange(400) >= 380, 1.0, base.right), losses)
    assert not by_chance.beats(base, standard_errors=2.0)
    assert better.beats(base, standard_errors=2.0)
    assert not base.beats(base, standard_errors=2.0)
    worse_loss = TextTrial("better", better.right, losses + 0.1)
    assert not worse_loss.beats(base, standard_errors=2.0)


def test_the_longest_texts_of_the_sample_are_cut() -> None:
    assert first_characters(["abcdef", "ab", "abcd"], most=8) == ["abc", "ab", "abc"]
    assert first_characters(["abcdef", "ab"], most=8) == ["abcdef", "ab"]
    assert first_characters(["abcdef", "ab"], most=1) == ["", ""]
