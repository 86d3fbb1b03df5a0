"""Texts in any container of Python -> a list of str; a row that cannot be used is named, with a remedy."""

from collections.abc import Iterable, Mapping
from typing import Any

from textlstm.errors import InputError

MAX_NAMED = 5
"""Rows that an error message names."""


def text_list(texts: Iterable[object], *, column: str = "text", name: str = "texts") -> list[str]:
    """Return the N texts of a list, array, series, Arrow or datasets column, generator, or table with a text column.

    >>> text_list(("a", "b")), text_list({"text": ["a"]})
    (['a', 'b'], ['a'])

    Args:
        texts: the texts.
        column: of a table (a data frame, a mapping of columns) with several columns, the one with the texts.
        name: what error messages call `texts`.

    Raises:
        InputError: one string instead of a list, a table without the column, or rows that are no strings.
    """
    # A plain list of str, the usual case, is not copied.
    if type(texts) is list and all(type(text) is str for text in texts):
        return texts
    rows = column_values(texts, column=column, name=name)
    wrong = [row for row, text in enumerate(rows) if not isinstance(text, str)]
    if wrong:
        lines = [f"{name}[{row}] is {_kind(rows[row])}, not a str; {_remedy(rows[row], name)}" for row in wrong]
        more = [f"{name}: and {len(wrong) - MAX_NAMED:,} more rows like these"] if len(wrong) > MAX_NAMED else []
        raise InputError(*lines[:MAX_NAMED], *more)
    return [str(text) for text in rows]  # numpy's strings, too, become Python's


def column_values(values: Any, *, column: str, name: str) -> list[Any]:
    """Return one column as a list of Python objects, whatever holds it.

    Raises:
        InputError: it is no column: one string, None, a set, a number, or a table without `column`.
    """
    if isinstance(values, str | bytes):
        raise InputError(f"{name} is one {type(values).__name__}, not a list; put brackets around it: [{name}]")
    # A table: the named column, or its only one.
    names = _table_columns(values)
    if names is not None:
        if column not in names and len(names) != 1:
            shown = ", ".join(map(repr, names)) or "none"
            raise InputError(
                f"{name} is a table without a column {column!r}; the columns are {shown}. Give one of them, "
                f"as in {name}[{(names or [column])[0]!r}]"
            )
        chosen = column if column in names else names[0]
        return column_values(values[chosen], column=column, name=f"{name}[{chosen!r}]")
    if isinstance(values, set | frozenset) or not isinstance(values, Iterable):
        raise InputError(f"{name} is {_kind(values)}, not a list, series or other column, whose rows have an order")
    array: Any = values
    shape = tuple(getattr(array, "shape", (0,)))
    # (N, 1) to (N,): one column that is still shaped as a table.
    if len(shape) == 2 and shape[1] == 1:
        array = array.reshape(-1)
    elif len(shape) != 1:
        raise InputError(f"{name} is an array of shape {shape}; give one column, an array of one dimension")
    # numpy and pandas, polars, pyarrow: each has its own name for "as Python objects"
    for method in ("tolist", "to_list", "to_pylist"):
        if hasattr(array, method):
            return list(getattr(array, method)())
    return list(array)


def is_missing(value: object) -> bool:
    """Return whether a value stands for no value: None, NaN, pandas' NA and NaT.

    >>> is_missing(None), is_missing(float("nan")), is_missing("")
    (True, True, False)
    """
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and value != value  # noqa: PLR0124


def _table_columns(values: Any) -> list[Any] | None:
    """Return the names of the columns of a table; None for what is none."""
    if isinstance(values, Mapping):
        return list(values)
    names = getattr(values, "column_names", None)  # pyarrow, datasets
    if names is None and len(getattr(values, "shape", ())) == 2:
        names = getattr(values, "columns", None)  # pandas, polars
    return None if names is None else list(names)


def _kind(value: object) -> str:
    if value is None:
        return "None"
    if is_missing(value):
        return "NaN" if isinstance(value, float) else f"missing ({type(value).__name__})"
    if isinstance(value, bytes):
        return "bytes"
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _remedy(value: object, name: str) -> str:
    if is_missing(value):
        return f'drop missing rows or fill them, as in {name}.fillna("")'
    if isinstance(value, bytes):
        return 'decode it, as in text.decode("utf-8")'
    if isinstance(value, list | tuple | dict):
        return "give one text a row"
    return "make it a string, as in str(value)"
