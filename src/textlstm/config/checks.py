"""Range checks of settings; what fails says which key, what is allowed and what was found."""

import math
from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from typing import Any, TypeVar, get_type_hints

from textlstm.errors import ConfigError, IntegrityError


def require(condition: bool, message: str) -> None:
    """Raise ConfigError with `message` unless the condition holds."""
    if not condition:
        raise ConfigError(message)


def check_fraction(key: str, value: float, *, below_one: bool = True) -> None:
    """Raise ConfigError unless `value` is in [0, 1), or in [0, 1] where one is allowed."""
    upper = value < 1 if below_one else value <= 1
    require(value >= 0 and upper, f"{key} must be in [0, 1{')' if below_one else ']'}, got {value}")


def check_at_least(key: str, value: float, least: float) -> None:
    """Raise ConfigError unless `value` is finite and no less than `least`."""
    require(math.isfinite(value) and value >= least, f"{key} must be at least {least}, got {value}")


def check_range(key: str, value: float, least: float, most: float) -> None:
    """Raise ConfigError unless `value` is in [`least`, `most`]; `most` is beyond what any machine or corpus needs."""
    check_at_least(key, value, least)
    require(value <= most, f"{key} must be at most {most:,}, got {_shortened(value)}")


def check_positive(key: str, value: float, *, most: float) -> None:
    """Raise ConfigError unless `value` is greater than 0 and at most `most`."""
    require(math.isfinite(value) and value > 0, f"{key} must be greater than 0, got {value}")
    require(value <= most, f"{key} must be at most {most:,}, got {_shortened(value)}")


def check_local(key: str, value: str) -> None:
    """Raise ConfigError if a folder or file of this machine is given as an address, which would be a folder `s3:`."""
    require("://" not in value, f"{key}={value}: is an address; name a folder or file of this machine")


def check_folder(key: str, value: str) -> None:
    """Raise ConfigError unless `value` can name a folder of this machine; an empty name would be the current one."""
    require(bool(value), f"{key} must not be empty; a dot is the current folder")
    check_local(key, value)


def check_ranges(group: str, settings: object, **ranges: tuple[float, float]) -> None:
    """Raise ConfigError unless each field of `settings` is in its range, as in `epochs=(1, 1000)`.

    Args:
        group: what stands before the names in messages: "training." or "".
        settings: a config dataclass.
        **ranges: the least and the largest value of each field.
    """
    for name, (least, most) in ranges.items():
        check_range(f"{group}{name}", getattr(settings, name), least, most)


def _shortened(value: float) -> str:
    # A number of a thousand digits would fill the screen.
    return str(value) if abs(value) < 1e30 else f"{value:.0e}"


MOST_WORKERS = 512
"""More processes or threads than this would only exhaust the memory of a machine."""
MOST_SEED = 2**32 - 1
"""The largest that numpy, torch and scikit-learn all take."""
MOST_ROWS = 10**12
MOST_CHARS = 10**9
"""Of one text."""


def check_delimiter(key: str, value: str) -> None:
    """Raise ConfigError unless `value` is empty, `tab`, or one character that can stand between the cells of a row."""
    one = len(value) == 1 and value.isascii() and not value.isalnum() and value not in '"\r\n \0'
    require(one or value in ("", "tab"), f"{key} must be one character such as ; or |, tab, or empty, got {value!r}")


# Config dataclasses from JSON: of a saved model, a manifest, a message to a worker.

Config = TypeVar("Config")


def from_plain(config_class: type[Config], content: Mapping[str, Any]) -> Config:
    """Return a config dataclass from JSON values; keys that this version does not know are refused.

    Raises:
        IntegrityError: there is such a key.
    """
    hints = get_type_hints(config_class)
    known = {field.name for field in fields(config_class)}  # type: ignore[arg-type]
    # Refuse settings of a later version before any value is read.
    unknown = sorted(set(content) - known)
    if unknown:
        raise IntegrityError(
            f"{config_class.__name__}: unknown settings {', '.join(unknown)}; a later textlstm saved them"
        )
    # JSON holds members of enumerations as texts.
    values = {}
    for name, value in content.items():
        hint = hints[name]
        values[name] = hint(value) if isinstance(hint, type) and issubclass(hint, StrEnum) else value
    return config_class(**values)
