"""Nested settings as MLflow parameters: flat names, and no value that is cut without a trace."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from textlstm.tracking.names import legal_name

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
