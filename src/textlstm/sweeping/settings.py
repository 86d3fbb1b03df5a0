"""The settings of a sweep as a whole: the values that its trials can have, and those that all of them share."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from textlstm.config import SweepConfig
from textlstm.config.overrides import with_settings
from textlstm.errors import ConfigError
from textlstm.model_folder import library_versions
from textlstm.sweeping.space import Choice, Dimension, parse_space

CORPUS = "the data"
"""Name of the fixed entry that stands for the rows: the key of the prepared corpus."""
_WITHOUT_EFFECT = ("sweep", "tracking", "output_dir", "prepared_dir", "num_workers", "overwrite", "auto")
"""Settings that change no figure of a trial, or that the study compares itself."""
_ONLY_WHERE = ("data.train", "data.validation", "data.test")
"""Where rows lie; the key of the corpus stands for what they hold."""


def refuse_impossible(config: SweepConfig) -> None:
    """Try every listed value and both ends of every range of `sweep.space` on the settings, before anything is read.

    Raises:
        ConfigError: unknown keys and values that no trial could have, all of them.
    """
    values = [(dimension.key, value) for dimension in parse_space(config.sweep.space) for value in _ends(dimension)]
    problems: list[str] = []
    for key, value in values:
        # A value may be possible only beside a value of another searched key, such as a size of tags beside text.pos.
        beside = [f"{other}={text}" for other, text in values if other != key]
        if problem := _problem(config, [f"{key}={value}"]):
            if any(not _problem(config, [other, f"{key}={value}"]) for other in beside):
                continue
            if f"sweep.space: {problem}" not in problems:
                problems.append(f"sweep.space: {problem}")
    if problems:
        raise ConfigError(*problems)


def fixed_settings(config: SweepConfig, *, corpus_key: str) -> dict[str, str]:
    """Return all that the trials share, by name: the settings that are not searched, the data, and the libraries.

    A sweep that is continued must find them unchanged, else the figures of its trials could not be compared.

    Args:
        config: settings of the sweep, with values in place of `auto`.
        corpus_key: key of the prepared corpus, which stands for the rows, the settings of text, and their code.
    """
    # The study compares the space by itself, so searched settings are left out here.
    searched = {dimension.key for dimension in parse_space(config.sweep.space)}
    settings = {
        name: value
        for name, value in _flat(config)
        if name.split(".")[0] not in _WITHOUT_EFFECT and name not in _ONLY_WHERE and name not in searched
    }
    libraries = {f"the version of {name}": version for name, version in library_versions().items()}
    return {**settings, **libraries, CORPUS: corpus_key}


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the differences of two results of `fixed_settings`, a phrase each; the cause comes before the data."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    others = [name for name in names if name != CORPUS]
    # The corpus key follows from the settings of data and text and from the code: it is named where they are equal.
    explained = any(name.startswith(("data.", "text.", "the version of")) for name in others)
    phrases = [f"{name} was {before.get(name, 'not set')}, now it is {now.get(name, 'not set')}" for name in others]
    return phrases if explained or CORPUS not in names else [*phrases, f"{CORPUS} changed"]


def _ends(dimension: Dimension) -> Sequence[str]:
    """Return the listed values, or both ends of a range, as they stand in an override."""
    if isinstance(dimension, Choice):
        return dimension.values
    ends = (dimension.low, dimension.high)
    return [str(int(end)) if dimension.is_integer else repr(end) for end in ends]


def _problem(config: SweepConfig, overrides: Sequence[str]) -> str:
    try:
        with_settings(config, overrides)
    except ConfigError as error:
        return str(error)
    return ""


def _flat(config: object, prefix: str = "") -> list[tuple[str, str]]:
    """Return the settings of `config` by dotted name, as text."""
    found: list[tuple[str, str]] = []
    for field in fields(config):  # type: ignore[arg-type]
        value: Any = getattr(config, field.name)
        name = f"{prefix}{field.name}"
        found += _flat(value, f"{name}.") if is_dataclass(value) else [(name, str(value))]
    return found
