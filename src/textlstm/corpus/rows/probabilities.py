"""The probability of each label of a row: an object in one column, or one column a label."""

import math
from collections.abc import Mapping, Sequence

from textlstm.corpus.rows.values import JsonNumber, JsonRowError, is_missing, parse_object

SUM_TOLERANCE = 0.02
"""Probabilities of one label a row may add up to this much more or less than 1: people and language models round."""
NOT_NUMBERS = "no object of a number a label"
NEGATIVE = "a probability below 0"
ABOVE_ONE = "a probability above 1"
NO_SUM = "probabilities that do not add up to 1"
EMPTY = "no label"


class ProbabilitiesError(Exception):
    """Why the probabilities of a row cannot be used: one of the reasons above."""


def is_pattern(column: str) -> bool:
    """Return whether the setting stands for one column a label: `p_*` for p_sport, p_tech."""
    return "*" in column


def label_columns(columns: Sequence[str], pattern: str) -> dict[str, str]:
    """Return the label of each of the `columns` that a pattern with one * means: {"p_sport": "sport"} for `p_*`."""
    before, _, after = pattern.partition("*")
    least = len(before) + len(after)
    return {
        name: name[len(before) : len(name) - len(after)]
        for name in columns
        if len(name) > least and name.startswith(before) and name.endswith(after)
    }


def read_probabilities(fields: Mapping[str, object], column: str, *, several: bool) -> dict[str, float] | None:
    """Return the probability of each label that a row names, above 0; None where the row says nothing of them.

    Example: {"sport": 0.8, "tech": 0.2, "travel": 0} gives {"sport": 0.8, "tech": 0.2}. With one label a row they are
    divided by their sum; with `several`, each is the chance that the row has the label.

    Args:
        fields: the columns of the row.
        column: a column that holds an object (in a text cell: JSON), or a pattern such as `p_*`.
        several: whether a row may have several labels.

    Raises:
        ProbabilitiesError: no numbers, one below 0 or above 1, or a sum that is not 1.
    """
    given = _given(fields, column)
    if given is None:
        return None
    chances = {label: _number(value) for label, value in given.items()}
    if any(chance < 0 for chance in chances.values()):
        raise ProbabilitiesError(NEGATIVE)
    if any(chance > 1 + SUM_TOLERANCE for chance in chances.values()):
        raise ProbabilitiesError(ABOVE_ONE)
    if several:
        return {label: min(chance, 1.0) for label, chance in chances.items() if chance > 0}
    total = sum(chances.values())
    if not chances or "" in chances:
        raise ProbabilitiesError(EMPTY)
    if abs(total - 1) > SUM_TOLERANCE:
        raise ProbabilitiesError(NO_SUM)
    return {label: chance / total for label, chance in chances.items() if chance > 0}


def labels_of_probabilities(chances: Mapping[str, float], *, several: bool) -> tuple[str, ...]:
    """Return the most probable label, the first by name among equals; with `several`, all of at least 1/2, by name."""
    if several:
        return tuple(sorted(label for label, chance in chances.items() if chance >= 0.5))
    return (min(chances, key=lambda label: (-chances[label], label)),)


def _given(fields: Mapping[str, object], column: str) -> Mapping[str, object] | None:
    """Return what the row has for each label; None where it has nothing."""
    if is_pattern(column):
        named = label_columns(tuple(fields), column)
        values = {label: fields[name] for name, label in named.items()}
        if all(is_missing(value) or value == "" for value in values.values()):
            return None
        # A cell that is empty beside others says that the label is not there.
        return {label: 0 if is_missing(value) or value == "" else value for label, value in values.items()}
    value = fields.get(column)
    value = value.as_py() if hasattr(value, "as_py") else value
    if is_missing(value) or value == "":
        return None
    if isinstance(value, str):
        try:
            value = parse_object(value)
        except JsonRowError:
            raise ProbabilitiesError(NOT_NUMBERS) from None
    # Arrow gives a map as a list of pairs.
    if isinstance(value, list) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
        value = dict(value)
    if not isinstance(value, Mapping):
        raise ProbabilitiesError(NOT_NUMBERS)
    # A struct of Parquet has every label in every row, null where it was not given.
    return {str(label): 0 if chance is None else chance for label, chance in value.items()}


def _number(value: object) -> float:
    text = value.source if isinstance(value, JsonNumber) else value
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise ProbabilitiesError(NOT_NUMBERS)
    try:
        number = float(text)
    except ValueError:
        raise ProbabilitiesError(NOT_NUMBERS) from None
    if not math.isfinite(number):
        raise ProbabilitiesError(NOT_NUMBERS)
    return number
