"""The body of a request to /invocations -> its texts: the formats of MLflow's scoring server.

JSON holds exactly one of `dataframe_split`, `dataframe_records`, `instances` and `inputs`, and perhaps `params`; CSV
and Parquet hold a table. The texts are the column `text`, or the only one where columns have no names.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from textlstm.inference.texts import is_missing

TEXT_COLUMN = "text"
FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
JSON_TYPE, CSV_TYPE, PARQUET_TYPE = "application/json", "text/csv", "application/vnd.apache.parquet"
BAD_REQUEST, BAD_VALUE = "BAD_REQUEST", "INVALID_PARAMETER_VALUE"
_UNNAMED: Any = 0
"""Name of the only column of rows without names."""


class Refused(Exception):  # noqa: N818 - an answer to a client, not a fault of the program
    """A request that is answered with an error: HTTP status, MLflow's error code and a line for the client."""

    def __init__(self, message: str, *, status: int = 400, code: str = BAD_REQUEST) -> None:
        """Keep the parts of the answer."""
        super().__init__(message)
        self.message, self.status, self.code = message, status, code


class Question(NamedTuple):
    """What a client asks."""

    texts: list[str]
    """Missing texts (null, NaN) are empty strings."""
    top_k: int = 0
    with_all: bool = False
    """Whether the probabilities of all labels are asked for."""


def read_question(body: bytes, content_type: str) -> Question:
    """Return the texts and parameters of a request.

    Raises:
        Refused: The content type is another one (415), or the body does not hold what it says (400).
    """
    kind = _media_type(content_type)
    if kind == CSV_TYPE:
        return Question(_checked(_csv_column(body)))
    if kind == PARQUET_TYPE:
        return Question(_checked(_parquet_column(body)))
    if kind != JSON_TYPE:
        allowed = ", ".join((JSON_TYPE, CSV_TYPE, PARQUET_TYPE))
        raise Refused(f"the content type must be one of {allowed}, not {content_type!r}", status=415)
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(f"the body is not valid JSON: {error}") from None
    found = [name for name in FORMATS if name in content] if isinstance(content, dict) else []
    if len(found) != 1:
        raise Refused(f"the body must be a JSON object with exactly one of {', '.join(FORMATS)}")
    [name] = found
    rows = _read_split(content[name]) if name == "dataframe_split" else _read_rows(content[name], name)
    return Question(_checked(rows), *_parameters(content.get("params")))


def _media_type(content_type: str) -> str:
    kind, *parameters = (part.strip() for part in content_type.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name != "charset" or value.lower() != "utf-8":
            raise Refused(f"{parameter!r}: the only parameter of a content type is charset=utf-8", status=415)
    return kind.lower()


def _read_split(table: Any) -> list[Any]:
    """Return the texts of `{"columns": ["text"], "data": [["a"], ["b"]]}`; a row of one value may lack its brackets."""
    data = table.get("data") if isinstance(table, dict) else None
    if not isinstance(data, list):
        raise Refused('dataframe_split must be an object such as {"columns": ["text"], "data": [["a text"]]}')
    rows = [row if isinstance(row, list) else [row] for row in data]
    names = table.get("columns")
    if names is None:
        names = [_UNNAMED] if all(len(row) == 1 for row in rows) else []
    if not isinstance(names, list):
        raise Refused("dataframe_split: columns must be a list of names")
    wrong = next((place for place, row in enumerate(rows) if len(row) != len(names)), None)
    if wrong is not None:
        raise Refused(f"dataframe_split: row {wrong} has {len(rows[wrong])} values for {len(names)} columns")
    place = names.index(_text_column(names))
    return [row[place] for row in rows]


def _read_rows(rows: Any, name: str) -> list[Any]:
    """Return the texts of a list of texts, of rows or of objects, of an object of columns, or of one text."""
    if isinstance(rows, dict) and name != "dataframe_records":
        column = rows[_text_column(list(rows))]
        return column if isinstance(column, list) else [column]
    if isinstance(rows, str) and name == "inputs":
        return [rows]
    if not isinstance(rows, list):
        raise Refused(f"{name} must be a list of rows, not {type(rows).__name__}")
    kinds = {dict if isinstance(row, dict) else list if isinstance(row, list) else object for row in rows}
    if len(kinds) > 1:
        raise Refused(f"{name}: all rows must be of one kind: texts, lists or objects")
    if kinds == {dict}:
        # A row may leave out a column that others have.
        column = _text_column([key for row in rows for key in row])
        return [row.get(column) for row in rows]
    if name == "dataframe_records" or not rows:
        _text_column([])
    if kinds == {list}:
        wrong = next((place for place, row in enumerate(rows) if len(row) != 1), None)
        if wrong is not None:
            raise Refused(f"{name}: row {wrong} has {len(rows[wrong])} values; a row is one text")
        return [row[0] for row in rows]
    return rows


def _csv_column(body: bytes) -> list[Any]:
    try:
        rows = list(csv.reader(io.StringIO(body.decode("utf-8"), newline=""), strict=True))
    except UnicodeDecodeError as error:
        raise Refused(f"the body is not valid UTF-8: {error}") from None
    except csv.Error as error:
        raise Refused(f"the body is not valid CSV: {error}") from None
    if not rows:
        raise Refused("the body is empty; CSV needs a header with the column 'text'")
    place = rows[0].index(_text_column(rows[0]))
    # Empty lines are no rows; a row that ends early has no text.
    return [row[place] if place < len(row) else None for row in rows[1:] if row]


def _parquet_column(body: bytes) -> list[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(body))
    except (pa.ArrowException, OSError) as error:
        raise Refused(f"the body is not valid Parquet: {error}") from None
    return list(table.column(str(_text_column(table.column_names))).to_pylist())


def _text_column(names: Sequence[Any]) -> Any:
    column = next((name for name in (TEXT_COLUMN, _UNNAMED) if name in names), None)
    if column is None:
        shown = ", ".join(dict.fromkeys(map(repr, names))) or "none"
        raise Refused(f"the input has no column {TEXT_COLUMN!r}; its columns: {shown[:200]}", code=BAD_VALUE)
    return column


def _checked(rows: Sequence[Any]) -> list[str]:
    texts = ["" if is_missing(text) else text for text in rows]
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise Refused(f"row {row}: {TEXT_COLUMN} must be a string, not {type(text).__name__}", code=BAD_VALUE)
    return texts


def _parameters(given: Any) -> tuple[int, bool]:
    """Return `top_k` and `probabilities`; other parameters are left alone, as MLflow does."""
    if given is None:
        return 0, False
    if not isinstance(given, Mapping):
        raise Refused(f"params must be an object, not {type(given).__name__}", code=BAD_VALUE)
    top_k, with_all = given.get("top_k", 0), given.get("probabilities", False)
    if not isinstance(top_k, int) or isinstance(top_k, bool):
        raise Refused(f"params: top_k must be a whole number, not {top_k!r:.40}", code=BAD_VALUE)
    if not isinstance(with_all, bool):
        raise Refused(f"params: probabilities must be true or false, not {with_all!r:.40}", code=BAD_VALUE)
    return top_k, with_all
