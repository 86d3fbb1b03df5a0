"""spaCy's affix patterns, searched only where they can match.

The patterns have some hundred alternatives, and spaCy tries all of them at every letter of every new word. What the
parsed pattern proves is used to search less; where nothing is proven, the pattern is used as it is:

- all alternatives begin with ^ (prefixes): only the start of the word is tried, for those that fit its first character;
- all alternatives end with $ and have a bounded width (suffixes): only the end is tried, for those that fit the last;
- every match needs a character that is no ASCII letter: words of ASCII letters are not searched, and for other ASCII
  words the sets of a pattern of infixes hold no more than they can meet.
"""

import importlib
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from textlstm.text.affix_tables import AffixTable, Search
from textlstm.text.ascii_patterns import ascii_pattern

FindAll: TypeAlias = Callable[[str], Iterable[re.Match[str]]]

_ASCII_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_MAX_TAIL = 64


def prefix_search(search: Search | None) -> Search | None:
    """Return a function equal to `search`, the search method of the pattern of prefixes."""
    pattern = _pattern_of(search, "search")
    if search is None or pattern is None:
        return search
    facts = pattern_facts(pattern)
    if not facts.is_anchored:
        return _unless_letters(search, facts)
    table = _first_characters(pattern)
    needs_non_letter = facts.needs_non_letter

    def search_start(text: str) -> re.Match[str] | None:
        find = table[text[:1]]
        return None if find is None or (needs_non_letter and text.isalpha() and text.isascii()) else find(text)

    return search_start


def suffix_search(search: Search | None) -> Search | None:
    """Return a function equal to `search`, the search method of the pattern of suffixes."""
    pattern = _pattern_of(search, "search")
    if search is None or pattern is None:
        return search
    facts = pattern_facts(pattern)
    if facts.tail_width is None:
        return _unless_letters(search, facts)
    table = _last_characters(pattern)
    needs_non_letter = facts.needs_non_letter

    def search_end(text: str) -> re.Match[str] | None:
        find = table[text[-1:]]
        return None if find is None or (needs_non_letter and text.isalpha() and text.isascii()) else find(text)

    return search_end


@lru_cache(maxsize=64)
def _first_characters(pattern: re.Pattern[str]) -> AffixTable:
    return AffixTable(pattern, at_end=False, search_of=lambda part, _: part.match)


@lru_cache(maxsize=64)
def _last_characters(pattern: re.Pattern[str]) -> AffixTable:
    return AffixTable(pattern, at_end=True, search_of=_search_tail)


def _search_tail(pattern: re.Pattern[str], parsed: Any) -> Search:
    """Return the search of `pattern` within the last characters of a text that its matches can lie in."""
    tail = _tail(parsed)
    find = pattern.search
    if tail is None:
        return find
    width, runs = tail
    if not runs:
        return lambda text: find(text, max(0, len(text) - width))

    def search_tail(text: str) -> re.Match[str] | None:
        return find(text, max(0, min(len(text) - width, len(text.rstrip(runs)))))

    return search_tail


def infix_finditer(find: FindAll | None) -> FindAll | None:
    """Return a function equal to `find`, the finditer method of the pattern of infixes."""
    pattern = _pattern_of(find, "finditer")
    if find is None or pattern is None or not pattern_facts(pattern).needs_non_letter:
        return find
    find_all, find_ascii, nothing = find, ascii_pattern(pattern).finditer, tuple[re.Match[str], ...]()

    def find_within(text: str) -> Iterable[re.Match[str]]:
        if not text.isascii():
            return find_all(text)
        return nothing if text.isalpha() else find_ascii(text)

    return find_within


def leaves_letters(function: Search | FindAll | None) -> bool:
    """Say whether a search or finditer method provably finds nothing in words of ASCII letters."""
    if function is None:
        return True
    pattern = _pattern_of(function, "search") or _pattern_of(function, "finditer")
    return pattern is not None and pattern_facts(pattern).needs_non_letter


def _unless_letters(search: Search, facts: "PatternFacts") -> Search:
    if not facts.needs_non_letter:
        return search
    return lambda text: None if text.isalpha() and text.isascii() else search(text)


def _pattern_of(function: object, name: str) -> re.Pattern[str] | None:
    pattern = getattr(function, "__self__", None)
    return pattern if isinstance(pattern, re.Pattern) and getattr(function, "__name__", "") == name else None


class PatternFacts(NamedTuple):
    """What is proven of a pattern."""

    needs_non_letter: bool = False
    """No match within a text of ASCII letters, lookaround included."""
    is_anchored: bool = False
    """Every match starts at the start of the text."""
    tail_width: int | None = None
    """Every match lies in so many last characters, but for the runs below; None: not proven."""
    run_characters: str = ""
    """A match may also be a longer run of one of these at the end of the text."""


@lru_cache(maxsize=64)
def pattern_facts(pattern: re.Pattern[str]) -> PatternFacts:
    """Return what can be proven of `pattern` from its parsed form."""
    if pattern.flags != re.UNICODE:
        return PatternFacts()
    try:
        parsed = importlib.import_module("re._parser").parse(pattern.pattern)
    except (ImportError, AttributeError, re.error):
        return PatternFacts()
    tail = _tail(parsed)
    return PatternFacts(
        needs_non_letter=not _fits_letters(parsed),
        is_anchored=_is_at(parsed, 0, "AT_BEGINNING") or all(_is_at(it, 0, "AT_BEGINNING") for it in _branches(parsed)),
        tail_width=None if tail is None else tail.width,
        run_characters="" if tail is None else tail.run_characters,
    )


class _Tail(NamedTuple):
    width: int
    run_characters: str


def _tail(parsed: Any) -> _Tail | None:
    """Return how far from the end of a text a match can start; None where that is not clear."""
    width, runs = 0, ""
    branches = _branches(parsed)
    for branch in branches:
        if not _is_at(branch, -1, "AT_END"):
            return None
        longest = branch.getwidth()[1]
        if longest <= _MAX_TAIL:
            width = max(width, longest)
        elif (character := _run_character(list(branch)[:-1])) is not None:
            runs += character
        else:
            return None
    return _Tail(width + 1, runs) if branches else None  # $ also matches before a line break at the end.


def _branches(parsed: Any) -> list[Any]:
    """Return the alternatives of a pattern that is nothing but alternatives, else none."""
    items = list(parsed)
    return list(items[0][1][1]) if len(items) == 1 and str(items[0][0]) == "BRANCH" else []


def _is_at(items: Any, place: int, position: str) -> bool:
    found = list(items)
    return bool(found) and str(found[place][0]) == "AT" and str(found[place][1]) == position


def _run_character(items: list[Any]) -> str | None:
    """Return x for items that match xx and any longer run of x."""
    match [(str(code), argument) for code, argument in items]:
        case [("LITERAL", first), ("MAX_REPEAT", (_, _, repeated))]:
            inner = list(repeated)
            if len(inner) == 1 and str(inner[0][0]) == "LITERAL" and inner[0][1] == first:
                return chr(first)
    return None


def _fits_letters(items: Iterable[Any]) -> bool:
    """Say whether a sequence of parsed items might match within ASCII letters."""
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
