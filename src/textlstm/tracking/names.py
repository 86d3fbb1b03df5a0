"""Metric and parameter names that MLflow accepts.

MLflow allows letters, digits, `_`, `-`, `.`, space, `:` and `/`. Class names may hold anything (`a/b`, `[x]`, `../`),
so every other character of a part is written as `:` and two hex digits a UTF-8 byte: `f1`, `cat[x]` -> `f1/cat:5Bx:5D`.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

MAX_NAME_LENGTH = 250
_SAFE = re.compile(r"[A-Za-z0-9_\-. ]")


def metric_name(*parts: str) -> str:
    """Return one legal metric name whose parts are joined by `/`; each part may hold any character.

    `metric_name("test", "f1", "a/b") == "test/f1/a:2Fb"`. A name beyond 250 characters is cut and ends in a digest.
    """
    name = "/".join(_escape(part) for part in parts)
    return name if len(name) <= MAX_NAME_LENGTH else _shortened(name)


def legal_name(name: str) -> str:
    """Return `name` with its `/` kept as separators and everything else that MLflow refuses escaped."""
    return metric_name(*name.split("/"))


def _escape(part: str) -> str:
    if not part:
        return ":"  # MLflow refuses empty parts; a colon itself becomes :3A
    if not part.strip("."):
        return "".join(f":{ord(character):02X}" for character in part)  # `.` and `..` would be read as folders
    return "".join(character if _SAFE.match(character) else _hex(character) for character in part)


def _hex(character: str) -> str:
    return "".join(f":{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def _shortened(name: str) -> str:
    # The digest of the whole name keeps names apart that begin alike.
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    ending = f":7E{digest}"
    return name[: MAX_NAME_LENGTH - len(ending)].rstrip("/: ") + ending


# Nested settings as MLflow parameters: flat names, and no value that is cut without a trace.

MAX_VALUE_LENGTH = 500  # MLflow 3 takes 6,000 characters, older servers 500
_SHOWN = 200


class Parameters(NamedTuple):
    """Flat parameters, and the full text of those that are too long for one."""

    values: dict[str, str]
    long_values: dict[str, str]


def flatten(settings: Mapping[str, object]) -> Parameters:
    """Return `settings` flat: `{"model": {"hidden_size": 64}}` becomes `{"model.hidden_size": "64"}`.

    A value longer than 500 characters appears shortened with its length and sha256; its full text is in `long_values`.
    """
    values: dict[str, str] = {}
    long_values: dict[str, str] = {}
    for name, value in _leaves("", settings):
        key = legal_name(name)
        if len(value) <= MAX_VALUE_LENGTH:
            values[key] = value
        else:
            # Length and digest keep values apart that begin alike.
            digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
            values[key] = f"{value[:_SHOWN]}... ({len(value)} characters, sha256 {digest}, see artefact params)"
            long_values[key] = value
    return Parameters(values, long_values)


def _leaves(prefix: str, value: object) -> list[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        pairs: list[tuple[str, str]] = []
        for key, inner in value.items():
            pairs += _leaves(f"{prefix}.{key}" if prefix else str(key), inner)
        return pairs
    return [(prefix, _text(value))]


def _text(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping | Sequence) or value is None or isinstance(value, bool):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
