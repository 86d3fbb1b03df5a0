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
        # `auto` is no value of the field: it only enters the list of automatic settings.
        if value == AUTO and key in AUTO_SETTINGS:
            asked.add(key)
            continue
        given.add(key)
        config = _with_value(config, key, value, path=key.split("."))
    # A setting that was typed is no longer automatic, unless `auto` was typed for it.
    if isinstance(config, PrepareConfig):
        config = dataclasses.replace(config, auto=remaining_auto(config.auto, given=given, asked=asked))
    return config


def _with_value(config: Any, key: str, value: str, *, path: list[str]) -> Any:
    hints = get_type_hints(type(config))
    name = path[0]
    if name not in hints:
        raise ConfigError(f"{key}: no such setting")
    # Replace from the inside out, so that the range checks of every group on the path run again.
    if len(path) > 1:
        return dataclasses.replace(config, **{name: _with_value(getattr(config, name), key, value, path=path[1:])})
    return dataclasses.replace(config, **{name: _parsed(hints[name], key, value)})


def _parsed(hint: Any, key: str, value: str) -> object:
    # The type of the field decides how the text is read.
    if get_origin(hint) is list:
        return text_items(value)
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


def text_items(raw: str) -> list[str]:
    """Return the items of a typed list of texts, each as it was typed: ids and names are never taken for numbers.

    Items stand in brackets with commas between them; an item with a comma of its own stands in quotation marks or
    has it inside brackets. Without the outer brackets there is one item.

    >>> text_items("[9d0b8a73,53327e75]"), text_items("[007, 'a,b', f(x,y)]"), text_items("a,b.csv"), text_items("")
    (['9d0b8a73', '53327e75'], ['007', 'a,b', 'f(x,y)'], ['a,b.csv'], [])
    """
    if not (raw.startswith("[") and raw.endswith("]")):
        return [unquoted(raw)] if raw else []
    items, item, quote, depth = [], "", "", 0
    # Cut at commas outside of quotation marks and brackets.
    for char in raw[1:-1]:
        if quote:
            quote = "" if char == quote else quote
        # A quotation mark counts only at the start of an item: in the middle it is an apostrophe.
        elif char in "'\"" and not item.strip():
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        if char == "," and not quote and not depth:
            items.append(item)
            item = ""
        else:
            item += char
    return [unquoted(text.strip()) for text in (*items, item) if text.strip()]


def unquoted(raw: str) -> str:
    """Return a typed text without the quotation marks around it."""
    return raw[1:-1] if len(raw) >= 2 and raw[0] == raw[-1] and raw[0] in "'\"" else raw
