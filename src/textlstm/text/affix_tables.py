"""The alternatives of an affix pattern that fit the first (or last) character of a word, compiled by themselves.

spaCy's patterns of prefixes and suffixes have some hundred alternatives; given the character at that end of a word, a
few or none are left. An alternative is left out only where each of its matches is proven to have another character
there, so the rest finds the same matches, in the same order of preference.
"""

import importlib
import re
import sys
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

Search: TypeAlias = Callable[[str], re.Match[str] | None]


class AffixTable(dict[str, Search | None]):
    """The search for each character at the end in question; None where nothing can match.

    Filled as characters are asked for. "" stands for the end of an empty text.
    """

    def __init__(self, pattern: re.Pattern[str], *, at_end: bool, search_of: Callable[[re.Pattern[str], Any], Search]):
        """Take `pattern`; `search_of` makes the search of a compiled part of it, given with its parsed form."""
        super().__init__()
        self._parsed = importlib.import_module("re._parser").parse(pattern.pattern)
        self._whole = search_of(pattern, self._parsed)
        self._alternatives = _alternatives(self._parsed)
        self._edges = [_edge(items, from_end=at_end) for items in self._alternatives]
        self._search_of = search_of
        self._searches: dict[tuple[int, ...], Search | None] = {}
        """By the numbers of the alternatives."""

    def __missing__(self, character: str) -> Search | None:
        """Find out which alternatives fit `character`."""
        found: Search | None = self._whole
        if self._edges and character not in ("", "\n"):  # $ also matches before a line break at the end
            kept = tuple(number for number, edge in enumerate(self._edges) if edge.fits(character))
            if kept not in self._searches:
                self._searches[kept] = self._search_for(kept)
            found = self._searches[kept]
        self[character] = found
        return found

    def _search_for(self, kept: tuple[int, ...]) -> Search | None:
        if not kept:
            return None
        parsed = self._parsed[:]
        parsed[-1] = (parsed[-1][0], (None, [self._alternatives[number] for number in kept]))
        try:
            pattern = importlib.import_module("re._compiler").compile(parsed)
        except (ImportError, AttributeError, TypeError):  # another Python's parser: search them all
            return self._whole
        return self._search_of(pattern, parsed)


class _Edge(NamedTuple):
    """What the matches of some items look like at one end."""

    ranges: tuple[tuple[int, int], ...]
    """First and last code of the characters that may stand there."""
    is_empty: bool
    """Whether a match may be empty, so that the next item decides."""

    def fits(self, character: str) -> bool:
        """Say whether a match may have `character` there."""
        code = ord(character)
        return self.is_empty or any(first <= code <= last for first, last in self.ranges)


_ANY = ((0, sys.maxunicode),)
_UNKNOWN = _Edge(_ANY, is_empty=True)


def _alternatives(parsed: Any) -> list[Any]:
    """Return the alternatives of a pattern that is nothing else, but for one position before them; else none."""
    codes = [str(code) for code, _ in parsed]
    return list(parsed[-1][1][1]) if codes in (["BRANCH"], ["AT", "BRANCH"]) else []


def _edge(items: Iterable[Any], *, from_end: bool) -> _Edge:
    ranges = tuple[tuple[int, int], ...]()
    ordered = list(items)
    for code, argument in reversed(ordered) if from_end else ordered:
        edge = _item_edge(str(code), argument, from_end=from_end)
        ranges += edge.ranges
        if not edge.is_empty:
            return _Edge(ranges, is_empty=False)
    return _Edge(ranges, is_empty=True)


def _item_edge(code: str, argument: Any, *, from_end: bool) -> _Edge:
    edge = _UNKNOWN
    match code:
        case "LITERAL":
            edge = _Edge(((argument, argument),), is_empty=False)
        case "IN":
            edge = _Edge(_ranges_of_set(argument), is_empty=False)
        case "AT" | "ASSERT" | "ASSERT_NOT":
            edge = _Edge((), is_empty=True)
        case "BRANCH":
            edges = [_edge(branch, from_end=from_end) for branch in argument[1]]
            ranges = tuple(chain.from_iterable(one.ranges for one in edges))
            edge = _Edge(ranges, is_empty=any(one.is_empty for one in edges))
        case "SUBPATTERN" if not argument[1] and not argument[2]:  # no flags of its own
            edge = _edge(argument[3], from_end=from_end)
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            inner = _edge(argument[2], from_end=from_end)
            edge = _Edge(inner.ranges, inner.is_empty or argument[0] == 0)
    return edge


def _ranges_of_set(items: Iterable[Any]) -> tuple[tuple[int, int], ...]:
    """Return ranges that hold all characters of a set."""
    ranges = list[tuple[int, int]]()
    for code, argument in items:
        match str(code):
            case "LITERAL":
                ranges.append((argument, argument))
            case "RANGE":
                ranges.append(argument)
            case _:  # categories and negated sets
                return _ANY
    return tuple(ranges)
