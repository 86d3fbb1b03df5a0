"""spaCy's tokens of single words, many words at a time.

spaCy cuts a text at white space and cuts each part (here: a word) by its rules, so the tokens of a word can be found
once and remembered. Two things reach further. A rule may hold a space itself ("EE. UU." in Spanish). And a last step
joins tokens that spell a special case such as ":-)": there a longer special case that spans a space (":-) )" spells
":-))") hides a shorter one. Texts with the first, and the surroundings of words with the second, are tokenized in one
go.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from textlstm.text.tokenizer.rules import Searches, searches_of

if TYPE_CHECKING:
    from spacy.language import Language

# Long runs of characters without white space: spaCy's tokenizer needs quadratic time for them.


def cut_long_runs(text: str, *, max_run: int) -> str:
    """Put a space after every `max_run` characters of a longer run without white space.

    Example: `cut_long_runs("abcdefg hi", max_run=3)` is `"abc def g hi"`.
    """
    if len(text) <= max_run or max(map(len, text.split()), default=0) <= max_run:
        return text
    return _long_run(max_run).sub(r"\1 ", text)


@lru_cache(maxsize=8)
def _long_run(max_run: int) -> re.Pattern[str]:
    return re.compile(rf"(\S{{{max_run}}})(?=\S)")


_SEPARATOR = "zqxseparatorzqx"
"""Stands between the words of a batch, so that no special case spans two of them."""
_BATCH_WORDS = 1_000
_CONTEXT = 12
"""Pieces to each side of a joined word that are tokenized with it; every special case has fewer tokens."""

find_pieces = re.compile(r"\S+ ?|\s+").findall
r"""Cut a text where spaCy's tokenizer does first: words with the space that follows, and other white space.

Example: `"a  b\n"` gives `["a ", " ", "b", "\n"]`.
"""


class WordTokens(NamedTuple):
    """The tokens of one word (or of a whole text)."""

    word: str
    rows: list[tuple[int, ...]]
    """For each token spaCy's values of the columns asked for; SPACY of the last one is as in the word alone."""
    is_joined: bool
    """Whether the last step changed the tokens: the word must be tokenized with its neighbors."""


def merge_around(pieces: Sequence[str], joined: Set[str]) -> list[str]:
    """Return `pieces` with each word of `joined` and its neighbors as one piece."""
    places = [place for place, piece in enumerate(pieces) if piece in joined]
    merged, done = list[str](), 0
    # Windows of _CONTEXT pieces to each side; those that overlap become one.
    while places:
        start = end = max(done, places[0] - _CONTEXT)
        while places and places[0] - _CONTEXT <= max(end, start):
            end = min(len(pieces), places.pop(0) + _CONTEXT + 1)
        merged += [*pieces[done:start], "".join(pieces[start:end])]
        done = end
    return [*merged, *pieces[done:]]


def supports_single_words(nlp: "Language") -> bool:
    """Say whether the pipeline's tokenizer is spaCy's own, which cuts at white space first."""
    from spacy.tokenizer import Tokenizer

    return type(nlp.tokenizer) is Tokenizer


def spaced_rule_finder(nlp: "Language") -> Callable[[str], bool] | None:
    """Return a function that says whether a text holds a rule with white space, so that it must be tokenized whole.

    None where the language has no such rule.
    """
    rules = tuple(rule for rule in nlp.tokenizer.rules if len(rule.split()) > 1)
    return (lambda text: any(rule in text for rule in rules)) if rules else None


class WordTokenizer:
    """Tokenizes words with the tokenizer of a pipeline."""

    def __init__(self, nlp: "Language", columns: Sequence[str], *, find_joined: bool = True) -> None:
        """Tokenize with `nlp`; report `columns` (attribute names, ORTH first) of each token.

        Without `find_joined` no word counts as joined, which saves making a second tokenizer and asking it.
        """
        from spacy.symbols import ORTH

        searches = searches_of(nlp)
        tokenizer = _guarded_tokenizer(nlp, searches)
        self._tokenizer = tokenizer
        self._columns = list(columns)
        self._space_column = self._columns.index("SPACY") if "SPACY" in self._columns else None
        self._plain_tokenizer = _without_last_step(nlp, searches) if find_joined else None
        self._vocab = nlp.vocab
        self._rules = frozenset(tokenizer.rules)
        self._keeps_letters = searches.leaves_letters
        # Special cases that a pattern would cut are those that spaCy matches over several tokens.
        cutters = (tokenizer.find_prefix, tokenizer.find_infix, tokenizer.find_suffix)
        matched = [rule for rule in tokenizer.rules if any(cut(rule) for cut in cutters)] if find_joined else []
        self._joins_letters = any(rule.isalnum() for rule in matched)
        self._joined_starts = {nlp.vocab.strings.add(tokenizer.rules[rule][0][ORTH]) for rule in matched}
        """First tokens of the special cases that the last step can find."""
        self._separator_orth = nlp.vocab.strings.add(_SEPARATOR)
        tokenizer(_SEPARATOR)

    def tokenize(self, words: Iterable[str]) -> Iterator[WordTokens]:
        """Yield the tokens of each word, in any order; a word may end with one space, or be any text at all."""
        # Sort the words by the work they need: none, one pass, or a second pass that shows which the last step joined.
        # Texts with other white space, or with the separator in them, go alone.
        letters, plain, mixed = list[str](), list[str](), list[str]()
        for word in words:
            stem = word.removesuffix(" ")
            if _SEPARATOR in word or not stem or len(stem.split()) != 1 or stem != stem.strip():
                yield self._alone(word)
            elif self._keeps_letters and stem.isalpha() and stem.isascii() and stem not in self._rules:
                letters.append(word)
            elif stem.isalnum() and not self._joins_letters:
                plain.append(word)
            else:
                mixed.append(word)
        yield from self._single_tokens(letters)
        for start in range(0, len(plain), _BATCH_WORDS):
            yield from self._batch(plain[start : start + _BATCH_WORDS], may_join=False)
        for start in range(0, len(mixed), _BATCH_WORDS):
            yield from self._batch(mixed[start : start + _BATCH_WORDS], may_join=True)

    def _alone(self, text: str) -> WordTokens:
        rows = self._rows(self._tokenizer(text))
        # The plain tokenizer has no last step, so other tokens show that the step changed some.
        is_joined = self._plain_tokenizer is not None and rows != self._rows(self._plain_tokenizer(text))
        return WordTokens(text, [tuple(row) for row in rows], is_joined)

    def _single_tokens(self, words: list[str]) -> Iterator[WordTokens]:
        """Yield words of letters that are no special case, which nothing can cut."""
        from spacy.tokens import Doc

        stems = [word.removesuffix(" ") for word in words]
        doc = Doc(self._vocab, words=stems, spaces=[word[-1] == " " for word in words])
        for word, row in zip(words, self._rows(doc), strict=True):
            yield WordTokens(word, [tuple(row)], is_joined=False)

    def _batch(self, words: list[str], *, may_join: bool) -> Iterator[WordTokens]:
        groups = self._groups(self._tokenizer, words)
        joined = self._joined_words(words, groups) if may_join else set()
        for word, group in zip(words, groups, strict=True):
            rows = list(map(tuple, group))
            # In a batch a space follows every word; put in what follows the word itself.
            if self._space_column is not None:
                last = list(rows[-1])
                last[self._space_column] = int(word[-1] == " ")
                rows[-1] = tuple(last)
            yield WordTokens(word, rows, word in joined)

    def _joined_words(self, words: list[str], groups: list[list[list[int]]]) -> set[str]:
        """Return those of `words` whose tokens, `groups`, the last step changed."""
        if self._plain_tokenizer is None:
            return set()
        # Only words that hold the first token of a special case are tokenized a second time.
        starts = self._joined_starts
        suspects = [word for word, group in zip(words, groups, strict=True) if any(row[0] in starts for row in group)]
        if not suspects:
            return set()
        # The last word of a batch has no space after it; one more word keeps that from counting as a difference.
        plain_groups = self._groups(self._plain_tokenizer, [*suspects, "x"])[:-1]
        own_groups = self._groups(self._tokenizer, [*suspects, "x"])[:-1]
        return {word for word, own, plain in zip(suspects, own_groups, plain_groups, strict=True) if own != plain}

    def _groups(self, tokenizer: Any, words: list[str]) -> list[list[list[int]]]:
        """Return the token rows of each word."""
        # One text of all words, whose tokens are then divided at the separators.
        text = f" {_SEPARATOR} ".join([word.removesuffix(" ") for word in words])
        array = tokenizer(text).to_array(self._columns)
        rows = array.tolist()
        ends = np.flatnonzero(array[:, 0] == np.uint64(self._separator_orth)).tolist()
        starts = [0, *(end + 1 for end in ends)]
        return [rows[start:end] for start, end in zip(starts, [*ends, len(rows)], strict=True)]

    def _rows(self, doc: Any) -> list[list[int]]:
        rows: list[list[int]] = doc.to_array(self._columns).tolist()
        return rows


def _guarded_tokenizer(nlp: "Language", searches: Searches) -> Any:
    """Return the pipeline's tokenizer with patterns that are searched only where they can match."""
    from spacy.tokenizer import Tokenizer

    original = nlp.tokenizer
    return Tokenizer(
        nlp.vocab,
        rules=original.rules,
        prefix_search=searches.prefix_search,
        suffix_search=searches.suffix_search,
        infix_finditer=searches.infix_finditer,
        token_match=original.token_match,
        url_match=original.url_match,
        faster_heuristics=original.faster_heuristics,
    )


def _without_last_step(nlp: "Language", searches: Searches) -> Any:
    """Return a tokenizer with the same rules whose special cases are not matched over several tokens.

    spaCy matches those special cases that a prefix, suffix or infix pattern would cut, and decides that when the
    tokenizer is made; the new one's patterns find nothing until then.
    """
    from spacy.tokenizer import Tokenizer

    original = nlp.tokenizer
    is_made = False

    def later(function: Callable[[str], Any] | None, nothing: Any) -> Callable[[str], Any] | None:
        return None if function is None else lambda text: function(text) if is_made else nothing

    without = Tokenizer(
        nlp.vocab,
        rules=original.rules,
        prefix_search=later(searches.prefix_search, None),
        suffix_search=later(searches.suffix_search, None),
        infix_finditer=later(searches.infix_finditer, ()),
        token_match=original.token_match,
        url_match=original.url_match,
    )
    is_made = True
    return without
