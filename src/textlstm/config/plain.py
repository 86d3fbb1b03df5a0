"""Config dataclasses from what JSON made of them: in a saved model, a manifest, a message to a worker."""

from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from typing import Any, TypeVar, get_type_hints

from textlstm.errors import IntegrityError

Config = TypeVar("Config")


def from_plain(config_class: type[Config], content: Mapping[str, Any]) -> Config:
    """Return a config dataclass from JSON values; keys that this version does not know are refused.

    Raises:
        IntegrityError: there is such a key.
    """
    hints = get_type_hints(config_class)
    known = {field.name for field in fields(config_class)}  # type: ignore[arg-type]
    unknown = sorted(set(content) - known)
    if unknown:
        raise IntegrityError(
            f"{config_class.__name__}: unknown settings {', '.join(unknown)}; a later textlstm saved them"
        )
    values = {}
    for name, value in content.items():
        hint = hints[name]
        values[name] = hint(value) if isinstance(hint, type) and issubclass(hint, StrEnum) else value
    return config_class(**values)
