"""A shortcut for spaCy's affix patterns, which try some hundred alternatives at each letter of each new word.

Where it can be shown that every match of a pattern needs a character that is no ASCII letter, words of ASCII letters
need not be searched.
"""

import importlib
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")

_ASCII_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def guarded(function: Callable[[str], T] | None, nothing: T) -> Callable[[str], T] | None:
    """Return `function`, a bound method of a compiled pattern, with the shortcut where it is safe.

    Args:
        function: Such as `pattern.search`; None stays None.
        nothing: What the function returns where nothing matches.
    """
    pattern = getattr(function, "__self__", None)
    if function is None or not isinstance(pattern, re.Pattern) or not never_cuts_letters(pattern):
        return function
    search = function

    def search_unless_letters(text: str) -> T:
        return nothing if text.isalpha() and text.isascii() else search(text)

    return search_unless_letters


@lru_cache(maxsize=64)
def never_cuts_letters(pattern: re.Pattern[str]) -> bool:
    """Say whether `pattern` provably matches nothing in any text of ASCII letters; False where that is not clear."""
    try:
        parser = importlib.import_module("re._parser")
        parsed = parser.parse(pattern.pattern, pattern.flags)
    except (ImportError, AttributeError, re.error):
        return False
    return not _fits_letters(parsed)


def _fits_letters(items: Iterable[Any]) -> bool:
    """Say whether a sequence of parsed items might match within letters."""
    return all(_item_fits_letters(str(code), argument) for code, argument in items)


def _item_fits_letters(code: str, argument: Any) -> bool:
    fits = True  # Anything unknown might match.
    match code:
        case "LITERAL":
            fits = chr(argument) in _ASCII_LETTERS
        case "IN":
            fits = _set_has_letters(argument)
        case "BRANCH":
            fits = any(_fits_letters(branch) for branch in argument[1])
        case "SUBPATTERN":
            fits = _fits_letters(argument[3])
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            fits = argument[0] == 0 or _fits_letters(argument[2])
        case "ASSERT":
            fits = _fits_letters(argument[1])
    return fits


def _set_has_letters(items: Iterable[Any]) -> bool:
    """Say whether a character set might hold an ASCII letter."""
    for code, argument in items:
        match str(code):
            case "LITERAL":
                if chr(argument) in _ASCII_LETTERS:
                    return True
            case "RANGE":
                if any(argument[0] <= ord(letter) <= argument[1] for letter in _ASCII_LETTERS):
                    return True
            case "CATEGORY" if str(argument) in {"CATEGORY_DIGIT", "CATEGORY_SPACE"}:
                continue
            case _:
                return True
    return False
