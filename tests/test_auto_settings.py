"""`auto` on the command line: what is typed leaves it, what a chosen file holds leaves it, and the help explains it."""

import re
from pathlib import Path

import pytest

from textlstm.cli.settings import compose_config
from textlstm.cli.settings_help import stage_help
from textlstm.config import AUTO_SETTINGS, PrepareConfig, TrainConfig
from textlstm.errors import ConfigError

RESOLVED_HERE = {"text.pos"}
"""What other settings decide is a plain value once the settings are read."""


def _auto(*overrides: str, config_file: Path | None = None) -> set[str]:
    config: TrainConfig = compose_config("train", TrainConfig, overrides, config_file and str(config_file))
    return set(config.auto)


def test_everything_is_auto_unless_it_is_typed() -> None:
    everything = set(AUTO_SETTINGS) - RESOLVED_HERE
    assert _auto() == everything
    assert _auto("training.epochs=3", "model.embeddings=[]") == everything - {"training.epochs", "model.embeddings"}
    assert _auto("model.hidden_size=64") == everything
    assert _auto("auto=[]") == set()
    assert _auto("auto=[training.epochs,training.refit]") == {"training.epochs", "training.refit"}


def test_a_named_choice_and_a_file_keep_their_values(tmp_path: Path) -> None:
    assert "training.epochs" not in _auto("training=quick")
    assert "training.epochs" in _auto("training=quick", "training.epochs=auto")
    file = tmp_path / "settings.yaml"
    file.write_text("training:\n  epochs: 9\n  batch_size: auto\nmodel: {embeddings: auto}\n", encoding="utf-8")
    assert "training.epochs" not in _auto(config_file=file)
    assert {"training.batch_size", "model.embeddings"} <= _auto(config_file=file)
    assert "training.batch_size" not in _auto("training.batch_size=5", config_file=file)


def test_only_settings_that_data_decide_can_be_auto() -> None:
    with pytest.raises(ConfigError, match=r"model\.hidden_size"):
        _auto("model.hidden_size=auto")
    with pytest.raises(ConfigError, match=r"auto: no setting model\.hidden_size can be auto"):
        _auto("auto=[model.hidden_size]")


@pytest.mark.parametrize(
    ("overrides", "pos"),
    [
        ([], False),
        (["text.pos=true"], True),
        (["text.keep_pos=[NOUN]"], True),
        (["text=content_words"], True),
        (["text=fast"], False),
    ],
)
def test_parts_of_speech_are_tagged_where_something_reads_them(overrides: list[str], pos: bool) -> None:
    assert compose_config("train", TrainConfig, overrides).text.pos is pos
    assert compose_config("train", TrainConfig, ["model.pos_embedding_size=8"]).text.pos


@pytest.mark.parametrize(
    ("overrides", "pos"), [([], True), (["text.pos=false"], False), (["text=fast"], False), (["text=default"], True)]
)
def test_prepare_tags_unless_told_not_to(overrides: list[str], pos: bool) -> None:
    assert compose_config("prepare", PrepareConfig, overrides).text.pos is pos


def test_the_help_explains_auto_for_each_setting() -> None:
    page = stage_help("train", "Fit a model.", "textlstm train", TrainConfig)
    entries = dict(zip(*[iter(re.split(r"\n  (\S+)=", page)[1:])] * 2, strict=True))
    for key in AUTO_SETTINGS:
        default, _, meaning = entries[key].partition("\n")
        assert default == "auto", key
        assert "auto: " in " ".join(meaning.split()), key
