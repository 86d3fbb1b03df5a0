"""Tokens without parts of speech: spaCy's rules, applied once to each distinct word.

Words are numbered as they come, and so are tokens; a text then is some array look-ups.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from textlstm.text.blocks import block_bounds
from textlstm.text.growing import GrowingRows, GrowingRuns, Runs
from textlstm.text.normalize import TokenNormalizer
from textlstm.text.prepared import PreparedTexts
from textlstm.text.runs import cut_long_runs
from textlstm.text.split_words import SplitWords, join_split
from textlstm.text.token_column import TokenColumn
from textlstm.text.word_rules import WordRules
from textlstm.text.word_tokenizer import WordTokenizer, find_pieces, merge_around, spaced_rule_finder

if TYPE_CHECKING:
    from spacy.language import Language

_MAX_WORDS = 250_000
"""The cache of words starts anew beyond this many; about 60 MB."""
_BLOCK_CHARS = 1_000_000
_REMOVED = 0
"""Number of the token that stands for removed ones."""


class PlainTokens:
    """The fast path without parts of speech."""

    def __init__(self, nlp: "Language", *, normalizer: TokenNormalizer, max_run: int) -> None:
        """Take `nlp` over: attributes of words that tokenising does not need are switched off in it."""
        from spacy.attrs import NORM

        getters = nlp.vocab.lex_attr_getters
        nlp.vocab.lex_attr_getters = {NORM: getters[NORM]}
        self._nlp = nlp
        self._normalizer = normalizer
        self._max_run = max_run
        self._rules = WordRules(nlp)
        self._has_spaced_rule = spaced_rule_finder(nlp)
        self._clear()

    @cached_property
    def _word_tokenizer(self) -> WordTokenizer:
        """Made for the first word that needs it; a few texts often have none. Not to be made within a memory zone."""
        return WordTokenizer(self._nlp, ("ORTH", "NORM"))

    def _clear(self) -> None:
        self._pieces = _Pieces()
        self._tokens = GrowingRuns(np.int32)
        """Numbers of the tokens of each piece."""
        self._is_joined = GrowingRows(np.empty(0, np.bool_), lambda count: np.empty(count, np.bool_))
        """Whether a piece is a word whose tokens may depend on its neighbours."""
        self._joined: set[str] = set()
        """Those words, with and without the space that follows."""
        self._normal = _NormalTokens(self._normalizer)

    def prepare(self, texts: Sequence[str]) -> PreparedTexts:
        """Return the tokens of all texts."""
        if len(self._pieces) > _MAX_WORDS:
            self._clear()
        try:
            blocks = [
                self._prepare_block(texts[start:end]) for start, end in block_bounds(texts, max_chars=_BLOCK_CHARS)
            ]
        except BaseException:
            self._clear()  # some words may have a number and no tokens
            raise
        lengths = np.concatenate([np.zeros(1, np.int64), *(block.lengths for block in blocks)])
        return PreparedTexts(
            tokens=TokenColumn(
                self._normal.distinct, np.concatenate([np.empty(0, np.int32), *(block.tokens for block in blocks)])
            ),
            offsets=np.cumsum(lengths),
            pos=None,
            num_removed=np.concatenate([np.empty(0, np.int32), *(block.num_removed for block in blocks)]),
            words=join_split([block.words for block in blocks]),
        )

    def _prepare_block(self, texts: Sequence[str]) -> "_Block":
        texts, words_of, are_whole = self._split(texts)
        word_counts = np.fromiter(map(len, words_of), np.int64, len(texts))
        words = self._numbers(chain.from_iterable(words_of), int(word_counts.sum()), are_words=True)
        num_pieces = word_counts.copy()
        pieces = self._with_neighbours(texts, words, num_pieces)
        column = TokenColumn(self._pieces.distinct, words.astype(np.int32))
        split = SplitWords(column, word_counts, goes_on=True) if are_whole else None
        tokens, sizes = self._tokens.take(pieces)
        ends_of_texts = _ends(sizes)[_ends(num_pieces)]
        if not self._normalizer.stop_words:
            return _Block(tokens, np.diff(ends_of_texts), np.zeros(len(texts), np.int32), split)
        is_kept = tokens != _REMOVED
        lengths = np.diff(_ends(is_kept)[ends_of_texts])
        return _Block(tokens[is_kept], lengths, (np.diff(ends_of_texts) - lengths).astype(np.int32), split)

    def _split(self, texts: Sequence[str]) -> tuple[list[str], list[list[str]], bool]:
        """Return the texts with long runs cut, the words of each, and whether there was no such run."""
        cut, words_of, max_run, are_whole = list(texts), list[list[str]](), self._max_run, True
        for row, text in enumerate(texts):
            words = text.split()
            if max(map(len, words), default=0) > max_run:
                cut[row] = cut_long_runs(text, max_run=max_run)
                words, are_whole = cut[row].split(), False
            words_of.append(words)
        return cut, words_of, are_whole

    def _numbers(self, pieces: Iterable[str], count: int, *, are_words: bool) -> NDArray[np.int64]:
        """Return the (count,) numbers of `pieces`, all of which have tokens then; other pieces may hold white space."""
        numbers = np.fromiter(map(self._pieces.__getitem__, pieces), np.int64, count)
        if new := self._pieces.distinct[len(self._tokens) :]:
            self._learn(new, are_words=are_words)
        return numbers

    def _with_neighbours(
        self, texts: Sequence[str], pieces: NDArray[np.int64], num_pieces: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return `pieces` with those that depend on their neighbours joined to them, and bring `num_pieces` up to date.

        A text that holds a rule with white space is one piece.
        """
        rows, spaced, has_spaced_rule = set[int](), set[int](), self._has_spaced_rule
        if self._joined:
            hits = np.flatnonzero(self._is_joined.rows[pieces])
            rows.update(np.searchsorted(np.cumsum(num_pieces), hits, side="right").tolist())
        if has_spaced_rule is not None:
            spaced = {row for row, text in enumerate(texts) if has_spaced_rule(text)}
            rows |= spaced
        if not rows:
            return pieces
        parts, done, starts = list[NDArray[np.int64]](), 0, _ends(num_pieces)
        for row in sorted(rows):
            text = texts[row]
            own = [text]
            if row not in spaced:
                own = [piece for merged in merge_around(find_pieces(text), self._joined) if (piece := merged.strip())]
            parts += [pieces[done : starts[row]], self._numbers(own, len(own), are_words=False)]
            done, num_pieces[row] = starts[row + 1], len(own)
        return np.concatenate([*parts, pieces[done:]])

    def _learn(self, pieces: list[str], *, are_words: bool) -> None:
        """Tokenise `pieces`, which are new, and keep their tokens in that order."""
        cut = self._rules.cut
        found = [cut(piece) if are_words else None for piece in pieces]
        tokens_of: list[Sequence[str]] = [tokens or () for tokens in found]
        is_joined = np.zeros(len(pieces), np.bool_)
        if None in found:
            left = {piece: place for place, piece in enumerate(pieces) if found[place] is None}
            for piece, tokens, is_word_joined in self._spacy_tokens(left, find_joined=are_words):
                tokens_of[left[piece]] = tokens
                if is_word_joined:
                    is_joined[left[piece]] = True
                    self._joined |= {piece, f"{piece} "}
        sizes = np.fromiter(map(len, tokens_of), np.int64, len(pieces))
        all_tokens = chain.from_iterable(tokens_of)
        numbers = np.fromiter(map(self._normal.__getitem__, all_tokens), np.int32, int(sizes.sum()))
        self._tokens.append(Runs(numbers, sizes))
        self._is_joined.append(is_joined)

    def _spacy_tokens(self, pieces: Iterable[str], *, find_joined: bool) -> list[tuple[str, list[str], bool]]:
        """Have spaCy tokenise pieces of several words, and words that it may join.

        Return for each, in any order, its tokens, and whether it depends on its neighbours if asked to `find_joined`.
        """
        strings, tokenizer = self._nlp.vocab.strings, self._word_tokenizer
        with self._nlp.memory_zone():
            return [
                (piece, [token for row in rows if not (token := strings[row[0]]).isspace()], is_joined)
                for piece, rows, is_joined in tokenizer.tokenize(pieces, find_joined=find_joined)
            ]


class _Block(NamedTuple):
    tokens: NDArray[np.int32]
    """(M,) numbers of the kept tokens."""
    lengths: NDArray[np.int64]
    """(N,) how many each text has."""
    num_removed: NDArray[np.int32]
    """(N,)"""
    words: SplitWords | None
    """Those of the N texts; None where a long run was cut, since the texts as given have others."""


class _Pieces(dict[str, int]):
    """The number of each piece; an unknown one gets the next number."""

    def __init__(self) -> None:
        super().__init__()
        self.distinct: list[str] = []
        """The pieces in the order of their numbers."""

    def __missing__(self, piece: str) -> int:
        number = self[piece] = len(self)
        self.distinct.append(piece)
        return number


class _NormalTokens(dict[str, int]):
    """The number of each token's normalised form."""

    def __init__(self, normalizer: TokenNormalizer) -> None:
        super().__init__()
        self._normalizer = normalizer
        self.distinct = [""]
        """The normalised forms; that of number 0 stands for removed tokens."""
        self._numbers = {"": _REMOVED}

    def __missing__(self, token: str) -> int:
        normalized = "" if self._normalizer.is_removed(token) else self._normalizer.normalize(token)
        number = self._numbers.setdefault(normalized, len(self.distinct))
        if number == len(self.distinct):
            self.distinct.append(normalized)
        self[token] = number
        return number


def _ends(sizes: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return (N + 1,) where each of N runs of these sizes begins, and where the last one ends."""
    ends = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=ends[1:])
    return ends
