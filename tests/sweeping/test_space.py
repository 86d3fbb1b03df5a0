import pytest

from textlstm.errors import ConfigError
from textlstm.sweeping.space import Choice, Range, grid_size, parse_space


def test_entries_are_choices_and_ranges() -> None:
    entries = [
        "model.hidden_size=64,128",
        "training.learning_rate=log(1e-3,1e-2)",
        "model.locked_dropout=0.1..0.6",
        "training.batch_size=log(16,128)",
        "seed=1..5",
        "model.embeddings=[wordllama,spacy],[]",
    ]
    assert parse_space(entries) == (
        Choice("model.hidden_size", ("64", "128")),
        Range("training.learning_rate", 0.001, 0.01, is_integer=False, is_log=True),
        Range("model.locked_dropout", 0.1, 0.6, is_integer=False, is_log=False),
        Range("training.batch_size", 16, 128, is_integer=True, is_log=True),
        Range("seed", 1, 5, is_integer=True, is_log=False),
        Choice("model.embeddings", ("[wordllama,spacy]", "[]")),
    )


def test_grid_size_counts_choices_only() -> None:
    assert grid_size(parse_space(["a=1,2,3", "b=x,y"])) == 6
    assert grid_size(parse_space(["a=1,2,3", "b=0..1"])) == 0


def test_every_bad_entry_is_reported() -> None:
    syntax = "write KEY=A,B,C or KEY=LOW..HIGH or KEY=log(LOW,HIGH)"
    entries = [
        "model.hidden_size",
        "a=2..1",
        "b=log(0,1)",
        "c=1,1",
        "hydra.run.dir=a,b",
        "_target_=a",
        "d=1..x",
        "e=1",
        "e=2",
    ]
    with pytest.raises(ConfigError) as caught:
        parse_space(entries)
    assert caught.value.problems == (
        f"sweep.space: 'model.hidden_size': {syntax}",
        "sweep.space: 'a=2..1': must be LOW < HIGH",
        "sweep.space: 'b=log(0,1)': must be 0 < LOW < HIGH",
        "sweep.space: 'c=1,1': values must not be empty or repeated",
        "sweep.space: hydra.run.dir cannot be searched",
        "sweep.space: '_target_=a': '_target_' is not a key such as model.hidden_size",
        f"sweep.space: 'd=1..x': {syntax}",
        "sweep.space: e occurs twice",
    )


def test_empty_space_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_space([])
    assert str(caught.value) == (
        "sweep.space is empty; write KEY=A,B,C or KEY=LOW..HIGH or KEY=log(LOW,HIGH), "
        "such as sweep.space=['model.hidden_size=64,128']"
    )
