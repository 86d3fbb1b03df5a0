"""spaCy's tokenizing rules applied to one word, without spaCy's own objects.

spaCy makes a lexeme of every piece it cuts, which takes longer than the cutting and only pays where more than the
spelling is asked for. `WordRules` follows `Tokenizer._split_affixes` and `_attach_tokens` of spaCy 3.8 step by step
with the same patterns and rules. Its last step, which joins tokens that spell a special case such as ":-)", is left to
spaCy: words with such tokens are not cut here.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from spacy.language import Language

# spaCy's affix patterns: a part of them for words of ASCII, and none for those of letters, in which they find nothing.

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
    from spacy.util import compile_infix_regex, compile_prefix_regex, compile_suffix_regex

    tokenizer, pieces = nlp.tokenizer, nlp.Defaults
    prefixes, suffixes, infixes = tokenizer.prefix_search, tokenizer.suffix_search, tokenizer.infix_finditer
    # The shortcuts hold for spaCy's own patterns only; all others are searched as they are.
    if not has_default_patterns(nlp) or nlp.lang in _LANGUAGES_THAT_CUT_LETTERS:
        return Searches(prefixes, suffixes, infixes, leaves_letters=False)
    in_ascii = [
        _for_ascii(compiled, found)
        for compiled, found in (
            (compile_prefix_regex, pieces.prefixes),
            (compile_suffix_regex, pieces.suffixes),
            (compile_infix_regex, pieces.infixes),
        )
    ]
    return Searches(
        _by_alphabet(prefixes, in_ascii[0].search, None) if prefixes else None,
        _by_alphabet(_at_the_end(suffixes), _at_the_end(in_ascii[1].search), None) if suffixes else None,
        _by_alphabet(infixes, in_ascii[2].finditer, ()) if infixes else None,
        leaves_letters=True,
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


_NEVER = re.compile(r"(?!)")
_ASCII = [chr(code) for code in range(128)]
_ONE_CHARACTER = re.compile(r"[^\x00-\x7f]|\[[^\[\]]*\]")
"""A piece of a pattern that matches one character: one beyond ASCII, or one of a set."""


def _for_ascii(compiled: Callable[[list[str]], re.Pattern[str]], pieces: Sequence[str] | None) -> re.Pattern[str]:
    """Return the pattern of `pieces` without those that match no character of ASCII, such as quotes and pictograms.

    In words of ASCII it finds what the whole pattern finds, in half the time.
    """
    kept = [
        piece
        for piece in pieces or ()
        if not _ONE_CHARACTER.fullmatch(piece) or any(map(re.compile(piece).fullmatch, _ASCII))
    ]
    return compiled(kept) if any(map(str.strip, kept)) else _NEVER


def _by_alphabet(search: Callable[[str], Any], in_ascii: Callable[[str], Any], nothing: Any) -> Callable[[str], Any]:
    """Return `search`, but `in_ascii` for words of ASCII, and `nothing` for those of letters alone."""

    def search_word(text: str) -> Any:
        if not text.isascii():
            return search(text)
        return nothing if text.isalpha() else in_ascii(text)

    return search_word


class WordRules:
    """Cuts words as the tokenizer of a pipeline does."""

    def __init__(self, nlp: "Language") -> None:
        """Take the rules and patterns of `nlp`, whose tokenizer is spaCy's own."""
        from spacy.symbols import ORTH

        tokenizer: Any = nlp.tokenizer
        self._rules: dict[str, list[str]] = {
            text: [token[ORTH] for token in tokens] for text, tokens in tokenizer.rules.items()
        }
        searches = searches_of(nlp)
        self._find_prefix = searches.prefix_search or _is_none
        self._find_suffix = searches.suffix_search or _is_none
        self._find_infixes = searches.infix_finditer or _finds_none
        self._token_match = tokenizer.token_match
        self._url_match = tokenizer.url_match or _is_none
        self._leaves_letters = tokenizer.token_match is None and searches.leaves_letters
        self._joins: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
        """Sequences of tokens that the last step replaces, by their first two tokens (or one)."""
        for spelled in self._joined_sequences(faster_heuristics=tokenizer.faster_heuristics):
            self._joins.setdefault(spelled[:2], []).append(spelled)
        self._starts = frozenset(start[0] for start in self._joins)

    def cut(self, word: str) -> Sequence[str] | None:
        """Return the tokens of `word`, which has no white space; None where spaCy's last step may join some.

        Example: "(end's)" gives ["(", "end", "'s", ")"], and "end):" gives None, since "):" is a special case.
        """
        # Most words: letters that no rule names and no pattern can cut.
        if self._leaves_letters and word.isalpha() and word.isascii() and word not in self._rules:
            return (word,)
        tokens = self._cut(word, self._rules)
        return tokens if self._starts.isdisjoint(tokens) or not self._may_join(tokens) else None

    def _cut(self, word: str, rules: dict[str, list[str]]) -> list[str]:
        """Return the tokens of `word` before the last step."""
        before, behind = list[str](), list[str]()
        rest, last_size, leaves_letters, token_match = word, 0, self._leaves_letters, self._token_match
        find_prefix, find_suffix = self._find_prefix, self._find_suffix
        # Cut from both ends until the rest is a special case or nothing changes, in the order of spaCy's loop.
        while rest and len(rest) != last_size:
            if rest in rules or (token_match is not None and token_match(rest)):
                break
            if leaves_letters and rest.isalpha() and rest.isascii():
                before.append(rest)
                rest = ""
                break
            last_size = len(rest)
            # A cut that leaves a special case is made at once, before the other end is looked at.
            found = find_prefix(rest)
            prefix = found.end() - found.start() if found else 0
            if prefix and rest[prefix:] in rules:
                before.append(rest[:prefix])
                rest = rest[prefix:]
                break
            # The suffix is searched in what the prefix leaves.
            found = find_suffix(rest[prefix:] if prefix else rest)
            suffix = found.end() - found.start() if found else 0
            if suffix and rest[:-suffix] in rules:
                behind.append(rest[-suffix:])
                rest = rest[:-suffix]
                break
            if prefix and suffix and prefix + suffix <= len(rest):
                before.append(rest[:prefix])
                behind.append(rest[-suffix:])
                rest = rest[prefix:-suffix]
            elif prefix:
                before.append(rest[:prefix])
                rest = rest[prefix:]
            elif suffix:
                behind.append(rest[-suffix:])
                rest = rest[:-suffix]
        # What is left is a special case, or is cut at its infixes.
        if rest:
            before += rules[rest] if rest in rules else self._cut_inside(rest)
        # Suffixes were found from the outside in.
        behind.reverse()
        return before + behind

    def _may_join(self, tokens: list[str]) -> bool:
        """Say whether neighbors among `tokens` spell a special case."""
        starts = self._joins.keys() & {*pairwise(tokens), *zip(tokens)}
        return any(
            tuple(tokens[place : place + len(spelled)]) == spelled
            for start in starts
            for spelled in self._joins[start]
            for place in range(len(tokens))
        )

    def _cut_inside(self, rest: str) -> list[str]:
        """Return the tokens of what is left when nothing more can be cut from the ends."""
        infixes = [infix.span() for infix in self._find_infixes(rest)]
        if not infixes or (self._token_match and self._token_match(rest)) or self._url_match(rest):
            return [rest]
        tokens, start = list[str](), 0
        for first, end in infixes:
            # As in spaCy, an infix at the very start cuts nothing.
            if first == 0:
                continue
            if first != start:
                tokens.append(rest[start:first])
            if first != end:
                tokens.append(rest[first:end])
            start = end
        if start < len(rest):
            tokens.append(rest[start:])
        return tokens

    def _joined_sequences(self, *, faster_heuristics: bool) -> list[tuple[str, ...]]:
        """Return the tokens that the last step replaces, one sequence for each special case.

        As in `Tokenizer.add_special_case`; cases with white space cannot lie within a word.
        """
        sequences = list[tuple[str, ...]]()
        for rule, joined in self._rules.items():
            if len(rule.split()) != 1 or rule != rule.strip():
                continue
            # With this setting spaCy matches only those special cases that its patterns would cut.
            if faster_heuristics and not (
                self._find_prefix(rule) or self._find_suffix(rule) or list(self._find_infixes(rule))
            ):
                continue
            # Cut without rules: these are the tokens that the last step finds and replaces.
            spelled = self._cut(rule, {})
            if spelled != joined:
                sequences.append(tuple(spelled))
        return sequences


def _finds_none(_: str) -> tuple[Any, ...]:
    return ()


def _is_none(_: str) -> None:
    return None
