"""Patterns for ASCII texts alone, which most words are.

spaCy's patterns of what cuts a word inside look behind each letter for one of thousands of letters of all scripts. In
an ASCII text only the ASCII ones of a set can be met, so the others are left out, with the alternatives that need them.
"""

import importlib
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

_LAST = 127


class _ImpossibleError(Exception):
    """No match within an ASCII text."""


@lru_cache(maxsize=64)
def ascii_pattern(pattern: re.Pattern[str]) -> re.Pattern[str]:
    """Return a pattern without flags of its own that finds in ASCII texts what `pattern` finds, in less time.

    It is `pattern` itself where that has flags, or another Python's parser speaks differently.
    """
    if pattern.flags != re.UNICODE:
        return pattern
    try:
        parsed = importlib.import_module("re._parser").parse(pattern.pattern)
        rest = [_behind_last(item) for item in _ascii_items(parsed)]
        found: re.Pattern[str] = importlib.import_module("re._compiler").compile(type(parsed)(parsed.state, rest))
    except (ImportError, AttributeError, TypeError, re.error, _ImpossibleError):
        return pattern
    return found


def _ascii_items(items: Iterable[Any]) -> Any:
    """Return a sequence of parsed items without what is not ASCII.

    Raises:
        _ImpossibleError: One of them has nothing left.
    """
    return [_ascii_item(code, argument) for code, argument in items]


def _ascii_item(code: Any, argument: Any) -> tuple[Any, Any]:
    match str(code):
        case "LITERAL" if argument > _LAST:
            raise _ImpossibleError
        case "IN":
            return code, _ascii_set(argument)
        case "BRANCH":
            return code, (argument[0], _ascii_branches(argument[1]))
        case "SUBPATTERN" if not argument[1] and not argument[2]:  # no flags of its own
            return code, (*argument[:3], _like(argument[3], _ascii_items(argument[3])))
        case "MAX_REPEAT" | "MIN_REPEAT" if argument[0] > 0:
            return code, (*argument[:2], _like(argument[2], _ascii_items(argument[2])))
        case "ASSERT":
            return code, (argument[0], _like(argument[1], _ascii_items(argument[1])))
    return code, argument


def _ascii_branches(branches: Iterable[Any]) -> list[Any]:
    left = list[Any]()
    for branch in branches:
        try:
            left.append(_like(branch, _ascii_items(branch)))
        except _ImpossibleError:
            continue
    if not left:
        raise _ImpossibleError
    return left


def _ascii_set(items: list[Any]) -> list[Any]:
    if str(items[0][0]) == "NEGATE":
        return items
    left = list[Any]()
    for code, argument in items:
        match str(code):
            case "LITERAL" if argument > _LAST:
                continue
            case "RANGE" if argument[0] > _LAST:
                continue
            case "RANGE":
                left.append((code, (argument[0], min(argument[1], _LAST))))
            case _:
                left.append((code, argument))
    if not left:
        raise _ImpossibleError
    return left


def _behind_last(item: Any) -> Any:
    """Return an item whose branches, where they look behind and then match one character, do so the other way round.

    The search skips a branch at once whose first character does not fit.
    """
    code, argument = item
    if str(code) != "BRANCH":
        return item
    return code, (argument[0], [_like(branch, _character_first(list(branch))) for branch in argument[1]])


def _character_first(items: list[Any]) -> list[Any]:
    match [(str(code), argument) for code, argument in items[:2]]:
        case [("ASSERT", (-1, behind)), ("LITERAL" | "IN", _)]:
            any_character = importlib.import_module("re._parser").parse(r"[\s\S]")
            look = (items[0][0], (-1, _like(behind, [*behind, *any_character])))
            return [items[1], look, *items[2:]]
    return items


def _like(pattern: Any, items: list[Any]) -> Any:
    """Return parsed items in the form of `pattern`."""
    return type(pattern)(pattern.state, items)
