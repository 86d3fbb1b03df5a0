"""Settings typed as text, `KEY=VALUE`, applied to a config object."""

import dataclasses
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, TypeVar, get_origin, get_type_hints

from textlstm.config import AUTO, AUTO_SETTINGS, PrepareConfig, remaining_auto
from textlstm.errors import ConfigError

Config = TypeVar("Config")


def with_settings(config: Config, overrides: Sequence[str]) -> Config:
    """Return `config` with each `KEY=VALUE` applied, such as `model.hidden_size=64`; all range checks run again.

    Raises:
        ConfigError: an unknown key, or a value of the wrong type or out of range.
    """
    given: set[str] = set()
    asked: set[str] = set()
    for override in overrides:
        key, _, value = override.partition("=")
        if value == AUTO and key in AUTO_SETTINGS:
            asked.add(key)
            continue
        given.add(key)
        config = _with_value(config, key, value, path=key.split("."))
    if isinstance(config, PrepareConfig):
        config = dataclasses.replace(config, auto=remaining_auto(config.auto, given=given, asked=asked))
    return config


def _with_value(config: Any, key: str, value: str, *, path: list[str]) -> Any:
    hints = get_type_hints(type(config))
    name = path[0]
    if name not in hints:
        raise ConfigError(f"{key}: no such setting")
    if len(path) > 1:
        return dataclasses.replace(config, **{name: _with_value(getattr(config, name), key, value, path=path[1:])})
    return dataclasses.replace(config, **{name: _parsed(hints[name], key, value)})


def _parsed(hint: Any, key: str, value: str) -> object:
    if get_origin(hint) is list:
        return [item.strip() for item in value.strip("[]").split(",") if item.strip()]
    if hint is bool:
        if value.lower() not in ("true", "false"):
            raise ConfigError(f"{key}: '{value}' is not true or false")
        return value.lower() == "true"
    try:
        if isinstance(hint, type) and issubclass(hint, StrEnum):
            return hint(value)
        return hint(value)
    except ValueError:
        raise ConfigError(f"{key}: '{value}' is not a value of type {hint.__name__}") from None
