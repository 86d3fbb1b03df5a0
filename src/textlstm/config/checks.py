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


def check_positive(key: str, value: float) -> None:
    """Raise ConfigError unless `value` is finite and greater than 0."""
    require(math.isfinite(value) and value > 0, f"{key} must be greater than 0, got {value}")


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
