"""Values of any format as plain JSON values and as the text of a cell."""

import base64
import math
from collections.abc import Mapping

from textlstm.corpus.files.json_values import JsonNumber, dump_value

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs cells that begin with one of these."""


def cell_text(value: object) -> str:
    """Return the text of a CSV or TSV cell: strings and JSON numbers as they stand, null as an empty cell."""
    if isinstance(value, str):
        return value
    plain = plain_value(value)
    if plain is None:
        return ""
    return plain if isinstance(plain, str) else dump_value(plain)


def plain_value(value: object) -> object:
    """Return `value` as what JSON can hold: Arrow scalars and bytes are turned, NaN and infinity become strings.

    Dates and times are ISO text, decimals keep their digits, bytes are base64.
    """
    if value is None or isinstance(value, str | bool | int | JsonNumber):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, Mapping):
        return {cell_text(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return _plain_scalar(value)


def excel_safe(text: str) -> str:
    """Return `text` with an apostrophe before it where a spreadsheet would run it as a formula."""
    return "'" + text if text.startswith(FORMULA_STARTS) else text


def _plain_scalar(scalar: object) -> object:
    """Return an Arrow scalar, or a Python object out of one, as a plain value."""
    import pyarrow as pa

    if not isinstance(scalar, pa.Scalar):
        return str(scalar)
    if not scalar.is_valid:
        return None
    if pa.types.is_nested(scalar.type) or pa.types.is_dictionary(scalar.type):
        return plain_value(scalar.as_py())
    if pa.types.is_decimal(scalar.type):
        return JsonNumber(str(scalar))
    if pa.types.is_temporal(scalar.type):
        return str(scalar).replace(" ", "T", 1) if pa.types.is_timestamp(scalar.type) else str(scalar)
    return plain_value(scalar.as_py())
