"""JSON rows, read strictly and written back so that every number keeps its source text."""

import base64
import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from json.encoder import encode_basestring as _quote
from typing import Any, NamedTuple, NoReturn

MAX_NESTING = 64
"""Lists and objects inside each other."""
MAX_NUMBER_CHARS = 1_000
"""Characters of one number."""

_SUSPECT_ESCAPE = re.compile(r"\\u(?:[dD][89a-fA-F]|0000)")
_TOO_DEEP = f"is nested more than {MAX_NESTING} levels deep"


class JsonNumber(NamedTuple):
    """A number as it is written in the source: `1`, `1.0`, `1e5` and `1E+05` stay what they are."""

    source: str


class JsonRowError(ValueError):
    """Why a line is not a usable JSON object; the message never quotes values."""


def parse_object(line: str) -> dict[str, object]:
    """Return the JSON object in `line`; numbers are `JsonNumber`.

    Raises:
        JsonRowError: not JSON, not an object, a duplicate key, NaN or Infinity, a number or nesting beyond the limits,
            a lone surrogate or a NUL character.
    """
    try:
        value = _DECODER.decode(line)
    except JsonRowError:
        raise
    except RecursionError:
        raise JsonRowError(_TOO_DEEP) from None
    except json.JSONDecodeError as error:
        raise JsonRowError(f"not valid JSON: {error.msg.removesuffix(' at')} at character {error.pos + 1}") from None
    if not isinstance(value, dict):
        raise JsonRowError(f"holds {kind_of(value)}, not an object; write one JSON object a line")
    # Brackets are counted quickly; only a line with many of them is searched level by level.
    if line.count("[") + line.count("{") > MAX_NESTING and _is_too_deep(value):
        raise JsonRowError(_TOO_DEEP)
    # Only an escape can stand for NUL or a surrogate: JSON refuses raw control characters.
    if _SUSPECT_ESCAPE.search(line):
        _check_strings(value)
    return value


def parse_array(text: str) -> list[object]:
    """Return the JSON list in `text`, a cell with several labels.

    Raises:
        JsonRowError: as `parse_object`, or it is not a list.
    """
    value = parse_object(f'{{"list": {text}}}')["list"]
    if not isinstance(value, list):
        raise JsonRowError(f"holds {kind_of(value)}, not a list")
    return value


def dump_value(value: object) -> str:
    """Return `value` as JSON text; numbers that were read keep their source text, strings stay unescaped UTF-8.

    Raises:
        TypeError: `value` has no JSON form.
        ValueError: `value` is NaN or infinite.
    """
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, JsonNumber):
        return value.source
    if isinstance(value, float) and math.isfinite(value):
        return float.__repr__(value)  # what `json.dumps` writes, which makes an encoder at every call
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value, allow_nan=False)
    if isinstance(value, Mapping):
        return dump_object(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join([dump_value(item) for item in value]) + "]"
    raise TypeError(f"no JSON form for {type(value).__name__}")


def dump_object(fields: Mapping[str, object]) -> str:
    """Return `fields` as one line of JSON."""
    return "{" + ", ".join([f"{_quote(key)}: {dump_value(value)}" for key, value in fields.items()]) + "}"


def kind_of(value: object) -> str:
    """Return the kind of `value` in the words of error messages."""
    for kinds, words in _KINDS:
        if isinstance(value, kinds):
            return words
    return f"a value of type {getattr(value, 'type', type(value).__name__)}"


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (type(None), "null"),
    (bool, "true or false"),
    (str, "a string"),
    ((JsonNumber, int, float), "a number"),
    ((list, tuple), "a list"),
    (Mapping, "an object"),
)


def _number(source: str) -> JsonNumber:
    if len(source) > MAX_NUMBER_CHARS:
        raise JsonRowError(f"holds a number of {len(source):,} characters; at most {MAX_NUMBER_CHARS:,} are allowed")
    return JsonNumber(source)


def _refuse_constant(name: str) -> NoReturn:
    raise JsonRowError(f"holds {name}, which is not JSON")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    # Without this hook, `json` keeps the last of two equal keys and says nothing.
    if len(fields) != len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise JsonRowError(f"has the key {twice[:40]!r} twice")
    return fields


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_number, parse_int=_number, parse_constant=_refuse_constant
)


def _is_too_deep(value: object) -> bool:
    level = [value]
    for _ in range(MAX_NESTING):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)  # type: ignore[attr-defined]
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _check_strings(value: object) -> None:
    match value:
        case str():
            if "\0" in value:
                raise JsonRowError("holds a NUL character")
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                raise JsonRowError("holds a lone surrogate (half of a UTF-16 pair)") from None
        case dict():
            for key, item in value.items():
                _check_strings(key)
                _check_strings(item)
        case list():
            for item in value:
                _check_strings(item)


# Values of any format as plain JSON values and as the text of a cell.

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs cells that begin with one of these."""


def cell_text(value: object) -> str:
    """Return the text of a CSV or TSV cell: strings and JSON numbers verbatim, null as an empty cell."""
    if isinstance(value, str):
        return value
    plain = plain_value(value)
    if plain is None:
        return ""
    return plain if isinstance(plain, str) else dump_value(plain)


def plain_value(value: object) -> object:
    """Return `value` in a form of JSON: Arrow scalars and bytes are converted, NaN is null, infinity is a string.

    Dates and times are ISO text, decimals keep their digits, bytes are base64. A map is an object; a map or
    struct that has a key twice is a list of pairs.
    """
    if hasattr(value, "as_py"):
        value = _python_value(value)
    if value is None or isinstance(value, str | bool | int | JsonNumber):
        return value
    if isinstance(value, float):
        return None if is_missing(value) else value if math.isfinite(value) else repr(value)
    if isinstance(value, Mapping):
        return {cell_text(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return str(value)


def is_missing(value: object) -> bool:
    """Return whether a value stands for none: null, or the NaN that pandas writes for it into a column of numbers."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def excel_safe(text: str) -> str:
    """Return `text` with an apostrophe before it where a spreadsheet would run it as a formula."""
    return "'" + text if text.startswith(FORMULA_STARTS) else text


def _python_value(scalar: Any) -> object:
    """Return the content of an Arrow scalar: a list or mapping of scalars, text of a time, or a Python value."""
    import pyarrow as pa

    kind = scalar.type
    found: object
    if not scalar.is_valid:
        found = None
    elif isinstance(scalar, pa.MapScalar):
        found = _mapping_or_pairs([(cell_text(pair["key"]), pair["value"]) for pair in scalar.values])
    elif isinstance(scalar, pa.StructScalar):
        # By place: a struct may have two fields of one name.
        found = _mapping_or_pairs([(kind.field(place).name, scalar[place]) for place in range(kind.num_fields)])
    elif isinstance(scalar, pa.ListScalar):  # and its kinds: large, fixed-size, views
        found = list(scalar.values)
    elif pa.types.is_decimal(kind):
        # A float would lose digits.
        found = JsonNumber(str(scalar))
    elif pa.types.is_time64(kind) and kind.unit == "ns" and scalar.value % 1000:
        found = str(scalar.cast(pa.string()))  # a Python time ends at microseconds
    elif pa.types.is_temporal(kind):
        found = str(scalar).replace(" ", "T", 1) if pa.types.is_timestamp(kind) else str(scalar)
    else:
        found = scalar.as_py()
    return found


def _mapping_or_pairs(pairs: list[tuple[str, object]]) -> object:
    """Return pairs of name and value as a mapping, or unchanged where a name occurs twice."""
    mapping = dict(pairs)
    return mapping if len(mapping) == len(pairs) else pairs
