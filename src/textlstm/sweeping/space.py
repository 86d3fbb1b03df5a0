"""The space of a sweep: `sweep.space` entries as choices and ranges."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from textlstm.errors import ConfigError

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
