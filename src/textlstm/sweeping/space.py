"""The space of a sweep: `sweep.space` entries as choices and ranges, and the settings that all trials share."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from textlstm.config import SweepConfig
from textlstm.config.overrides import with_settings
from textlstm.errors import ConfigError
from textlstm.model_folder import library_versions

_KEY = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_NOT_SEARCHED = ("hydra", "sweep", "output_dir", "prepared_dir")
_SYNTAX = "write KEY=A,B,C or KEY=LOW..HIGH or KEY=log(LOW,HIGH)"


@dataclass(frozen=True, slots=True)
class Choice:
    """A key with listed values."""

    key: str
    values: tuple[str, ...]
    """As they stand in an override, each once."""


@dataclass(frozen=True, slots=True)
class Range:
    """A key with values between two numbers, both included."""

    key: str
    low: float
    high: float
    is_integer: bool
    """Whole numbers only: both ends were written without a point or an exponent."""
    is_log: bool
    """Small values are tried as often as large ones, by factors."""


Dimension = Choice | Range


def parse_space(entries: Sequence[str]) -> tuple[Dimension, ...]:
    """Return the dimensions that `sweep.space` entries name.

    `model.hidden_size=64,128` lists values, `model.locked_dropout=0.1..0.6` is a range, and
    `training.learning_rate=log(1e-3,1e-2)` a range that is searched by factors.

    Raises:
        ConfigError: no entry at all, or one line for each entry that cannot be read.
    """
    if not entries:
        raise ConfigError(f"sweep.space is empty; {_SYNTAX}, such as sweep.space=['model.hidden_size=64,128']")
    dimensions: list[Dimension] = []
    problems: list[str] = []
    # All entries are read before any is refused, so that the user sees every mistake at once.
    for entry in entries:
        try:
            dimension = _parse(entry)
        except ConfigError as error:
            problems += error.problems
            continue
        if dimension.key in {other.key for other in dimensions}:
            problems.append(f"sweep.space: {dimension.key} occurs twice")
        dimensions.append(dimension)
    if problems:
        raise ConfigError(*problems)
    return tuple(dimensions)


def grid_size(dimensions: Sequence[Dimension]) -> int:
    """Return how many settings a space of choices holds, or 0 when a range makes it endless."""
    if any(isinstance(dimension, Range) for dimension in dimensions):
        return 0
    return math.prod(len(dimension.values) for dimension in dimensions if isinstance(dimension, Choice))


def _parse(entry: str) -> Dimension:
    key, equals, text = entry.partition("=")
    key, text = key.strip(), text.strip()
    if not equals or not text:
        raise ConfigError(f"sweep.space: {entry!r}: {_SYNTAX}")
    if not _KEY.fullmatch(key):
        raise ConfigError(f"sweep.space: {entry!r}: {key!r} is not a key such as model.hidden_size")
    if key.split(".")[0] in _NOT_SEARCHED:
        raise ConfigError(f"sweep.space: {key} cannot be searched")
    if text.startswith("log(") and text.endswith(")"):
        return _range(entry, key, text[4:-1].split(","), is_log=True)
    # A list or a quoted value may hold two dots without being a range.
    if ".." in text and text[0] not in "[\"'":
        return _range(entry, key, text.split(".."), is_log=False)
    values = _split(text)
    if any(not value for value in values) or len(set(values)) != len(values):
        raise ConfigError(f"sweep.space: {entry!r}: values must not be empty or repeated")
    return Choice(key, tuple(values))


def _range(entry: str, key: str, ends: Sequence[str], *, is_log: bool) -> Range:
    try:
        low, high = (float(end) for end in ends)
    except ValueError:
        raise ConfigError(f"sweep.space: {entry!r}: {_SYNTAX}") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or (is_log and low <= 0):
        bound = "0 < LOW < HIGH" if is_log else "LOW < HIGH"
        raise ConfigError(f"sweep.space: {entry!r}: must be {bound}")
    is_integer = all(re.fullmatch(r"\s*-?\d+\s*", end) for end in ends)
    return Range(key, low, high, is_integer=is_integer, is_log=is_log)


def _split(text: str) -> list[str]:
    """Cut at commas outside brackets and quotes: `[a,b],[c]` gives `[a,b]` and `[c]`."""
    # A bracket or an open quote protects the commas inside.
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "[{(":
            depth += 1
        elif character in "]})":
            depth -= 1
        if character == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


# The settings of a sweep as a whole: the values that its trials can have, and those that all of them share.

CORPUS = "the data"
"""Name of the fixed entry that stands for the rows: the key of the prepared corpus."""
_WITHOUT_EFFECT = (
    "sweep",
    "tracking",
    "output_dir",
    "prepared_dir",
    "num_workers",
    "engine",
    "overwrite",
    "auto",
    "seeds",
)
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
