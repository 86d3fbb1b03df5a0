"""spaCy's affix patterns, not searched in words of ASCII letters, in which they find nothing.

Most words are of ASCII letters alone, and spaCy tries some hundred alternatives at each of their letters. The patterns
of its languages all need another character: punctuation, a digit, a letter of another script. A pattern that is not
spaCy's own is searched everywhere.
"""

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from spacy.language import Language

_LANGUAGES_THAT_CUT_LETTERS = frozenset({"id", "ms"})
"""Their prefixes hold currencies of letters: "Rp" is cut off the start of "Rp500"."""


_SUFFIX_WINDOW = 32
"""Characters at the end of a word in which every suffix starts, unless it is one character repeated."""


class Searches(NamedTuple):
    """The searches of a tokenizer, with the same results; each is None where the tokenizer has none."""

    prefix_search: Callable[[str], re.Match[str] | None] | None
    suffix_search: Callable[[str], re.Match[str] | None] | None
    infix_finditer: Callable[[str], Iterable[re.Match[str]]] | None
    leaves_letters: bool
    """Whether all three find nothing in words of ASCII letters."""


def searches_of(nlp: "Language") -> Searches:
    """Return the prefix, suffix and infix searches of the tokenizer of `nlp`."""
    tokenizer = nlp.tokenizer
    prefixes, suffixes, infixes = tokenizer.prefix_search, tokenizer.suffix_search, tokenizer.infix_finditer
    # The shortcuts hold for spaCy's own patterns only; all others are searched as they are.
    if not has_default_patterns(nlp) or nlp.lang in _LANGUAGES_THAT_CUT_LETTERS:
        return Searches(prefixes, suffixes, infixes, leaves_letters=False)
    suffixes = _at_the_end(suffixes) if suffixes else None
    return Searches(
        _unless_letters(prefixes, None), _unless_letters(suffixes, None), _unless_letters(infixes, ()), True
    )


def has_default_patterns(nlp: "Language") -> bool:
    """Say whether the tokenizer searches for what spaCy's own class of its language does."""
    from spacy.util import compile_infix_regex, compile_prefix_regex, compile_suffix_regex

    if not type(nlp).__module__.startswith("spacy.lang."):
        return False
    defaults, tokenizer = nlp.Defaults, nlp.tokenizer
    return all(
        (function is None and not pieces) or (pieces and getattr(function, "__self__", None) == compiled(pieces))
        for function, pieces, compiled in (
            (tokenizer.prefix_search, defaults.prefixes, compile_prefix_regex),
            (tokenizer.suffix_search, defaults.suffixes, compile_suffix_regex),
            (tokenizer.infix_finditer, defaults.infixes, compile_infix_regex),
        )
    )


def _at_the_end(search: Callable[[str], re.Match[str] | None]) -> Callable[[str], re.Match[str] | None]:
    """Return `search`, which tries the last characters of a long word first.

    A suffix is a few characters, or one of them repeated. A match that starts within the window is therefore the one
    that a search from the first character finds; a match that fills it may start earlier. Without this, 50,000
    apostrophes cost 1.3 s: each is cut off by a search through all before it.
    """
    pattern: re.Pattern[str] = search.__self__  # type: ignore[attr-defined]  # `has_default_patterns` has compared it

    def search_end(text: str) -> re.Match[str] | None:
        start = len(text) - _SUFFIX_WINDOW
        if start <= 0:
            return search(text)
        # With a start, unlike with a slice, lookbehinds and ^ still see the characters before it.
        found = pattern.search(text, start)
        return search(text) if found is not None and found.start() == start else found

    return search_end


def _unless_letters(search: Callable[[str], Any] | None, nothing: Any) -> Callable[[str], Any] | None:
    """Return `search`, but `nothing` for words of ASCII letters."""
    if search is None:
        return None
    return lambda text: nothing if text.isascii() and text.isalpha() else search(text)
