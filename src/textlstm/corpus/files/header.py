"""Checks of a file's columns against the settings that name columns."""

import difflib
from collections.abc import Sequence

from textlstm.corpus.files.read_settings import ReadSettings


def header_problems(columns: Sequence[str], settings: ReadSettings, *, name: str) -> list[str]:
    """Return what is wrong with the columns of file `name`: duplicates, and required ones that are missing."""
    problems = []
    seen: dict[str, int] = {}
    for position, column in enumerate(columns, 1):
        if column in seen:
            problems.append(
                f"{name}: the header has the column {column!r} twice, as fields {seen[column]} and {position}. "
                "Rename one."
            )
        seen.setdefault(column, position)
    for column, key in settings.required_columns().items():
        if column not in seen:
            problems.append(missing_column(column, columns, key=key, name=name))
    return problems


def missing_column(column: str, columns: Sequence[str], *, key: str, name: str) -> str:
    """Return the message for a column that file `name` does not have, with the nearest name there is."""
    near = _nearest(column, columns)
    hint = f"did you mean {near!r}? The" if near is not None else "the"
    listed = ", ".join(repr(other[:60]) for other in columns[:20])
    more = f" and {len(columns) - 20} more" if len(columns) > 20 else ""
    return f"{name}: no column {column!r}; {hint} columns are {listed}{more}. Set {key}."


def _nearest(column: str, columns: Sequence[str]) -> str | None:
    plain = {other.strip("\ufeff\u200b \t").casefold(): other for other in columns}
    same = plain.get(column.strip().casefold())
    if same is not None:
        return same
    close = difflib.get_close_matches(column.casefold(), plain, n=1, cutoff=0.75)
    return plain[close[0]] if close else None
