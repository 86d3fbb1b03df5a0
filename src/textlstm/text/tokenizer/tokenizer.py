"""The engine for tokens without parts of speech: spaCy's rules, applied once to each distinct word.

Words are numbered in the order in which they come, and so are tokens; a text without new words costs array look-ups.
Words may be numbered first, for whoever needs no more of them, and cut into tokens later.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from textlstm.arrays.ragged import (
    GrowableRaggedArray,
    RaggedArray,
    ResizableArray,
    SplitWords,
    block_bounds,
    offsets_of,
)
from textlstm.arrays.strings import TokenColumn
from textlstm.text.tokenized import TaggedTexts
from textlstm.text.tokenizer.rules import WordRules
from textlstm.text.tokenizer.word_tokenizer import (
    WordTokenizer,
    cut_long_runs,
    find_pieces,
    merge_around,
    spaced_rule_finder,
)

if TYPE_CHECKING:
    from spacy.language import Language

_MAX_WORDS = 250_000
"""The cache of words starts anew beyond this many, which take about 60 MB."""
_MAX_WORD_CHARS = 20_000_000
"""The same, if words are long."""
_BLOCK_CHARS = 1_000_000
_NOWHERE = -1


class PlainTokens:
    """The engine without parts of speech."""

    def __init__(self, nlp: "Language", *, max_run: int) -> None:
        """Take `nlp` over: attributes of words that tokenizing does not need are switched off in it.

        Longer runs than `max_run` characters without white space are cut.
        """
        from spacy.attrs import NORM

        # The vocabulary computes each attribute that has a getter for every new word: NORM alone is read here.
        getters = nlp.vocab.lex_attr_getters
        nlp.vocab.lex_attr_getters = {NORM: getters[NORM]}
        self._nlp = nlp
        self._max_run = max_run
        self._rules = WordRules(nlp)
        self._has_spaced_rule = spaced_rule_finder(nlp)
        self._clear()

    @cached_property
    def _word_tokenizer(self) -> WordTokenizer:
        """Made for the first word that needs it; a few texts often have none. Never make it within a memory zone."""
        return WordTokenizer(self._nlp, ("ORTH", "NORM"), find_joined=False)

    def _clear(self) -> None:
        self._pieces = _Numbering()
        self._tokens = GrowableRaggedArray(np.int32)
        """Numbers of the tokens of each piece that was cut."""
        self._places = ResizableArray(np.empty(0, np.int64), lambda count: np.empty(count, np.int64))
        """Place of each piece in `_tokens`, by its number; -1 where no text needed its tokens so far."""
        self._is_special = ResizableArray(np.empty(0, np.bool_), lambda count: np.empty(count, np.bool_))
        """Whether a piece is a word that does not have the same tokens everywhere, or a run that must be cut."""
        self._joined: set[str] = set()
        """Words whose tokens may depend on their neighbors, with and without the space that follows."""
        self._token_numbers = _Numbering()

    def split(self, texts: Sequence[str]) -> SplitWords:
        """Return the words of N texts, of which no tokens are known: `tag_blocks` takes those of some texts."""
        self._make_room()
        return self._split(texts)

    def tag_blocks(self, texts: Sequence[str], words: SplitWords | None = None) -> Iterator[TaggedTexts]:
        """Yield the tokens of all texts, without tags, in blocks of about a million characters.

        `words` are those of `texts`, as `split` has found them.
        """
        if words is None or words.words.distinct is not self._pieces.distinct:
            words = None  # numbers of before the cache began anew mean nothing now
            self._make_room()
        for start, end in block_bounds(texts, max_chars=_BLOCK_CHARS):
            block = texts[start:end]
            try:
                tagged = self._cut_block(block, self._split(block) if words is None else words.select(start, end))
            except BaseException:
                self._clear()  # some words may have a place and no tokens
                raise
            yield tagged

    def _make_room(self) -> None:
        # Clearing makes new lists: results of earlier calls keep the lists that their numbers stand for.
        if len(self._pieces) > _MAX_WORDS or self._pieces.num_chars > _MAX_WORD_CHARS:
            self._clear()

    def _split(self, texts: Sequence[str]) -> SplitWords:
        words_of = [text.split() for text in texts]
        counts = np.fromiter(map(len, words_of), np.int64, len(texts))
        numbers = np.fromiter(map(self._pieces.__getitem__, chain.from_iterable(words_of)), np.int32, int(counts.sum()))
        return SplitWords(TokenColumn(self._pieces.distinct, numbers), counts, goes_on=True)

    def _cut_block(self, texts: Sequence[str], words: SplitWords) -> TaggedTexts:
        numbers = words.words.numbers.astype(np.int64)
        # New words are cut into tokens; a few are cut otherwise beside their neighbors: pieces stand in their place.
        self._meet(numbers, are_words=True)
        pieces, num_pieces = self._look_around(texts, numbers, words.counts)
        tokens, sizes = self._tokens.take(self._places.rows[pieces])
        # From tokens a piece to tokens a text: a text ends where its last piece ends.
        offsets = offsets_of(sizes)[offsets_of(num_pieces)]
        return TaggedTexts(TokenColumn(self._token_numbers.distinct, tokens), offsets, pos=None, words=words)

    def _numbers(self, pieces: Iterable[str], count: int, *, are_words: bool) -> NDArray[np.int64]:
        """Return the (count,) numbers of `pieces`, all of which have tokens then; other pieces may hold white space."""
        numbers = np.fromiter(map(self._pieces.__getitem__, pieces), np.int64, count)
        self._meet(numbers, are_words=are_words)
        return numbers

    def _meet(self, numbers: NDArray[np.int64], *, are_words: bool) -> None:
        """Cut the pieces with these (count,) numbers that have no tokens so far."""
        num_new = len(self._pieces) - len(self._places)
        if num_new:
            self._places.append(np.full(num_new, _NOWHERE))
            self._is_special.append(np.zeros(num_new, np.bool_))
        missing = numbers[self._places.rows[numbers] == _NOWHERE]
        if len(missing):
            new = np.unique(missing)  # in the order in which they came
            self._places.rows[new] = np.arange(len(self._tokens), len(self._tokens) + len(new))
            distinct = self._pieces.distinct
            self._is_special.rows[new] = self._learn([distinct[number] for number in new.tolist()], are_words=are_words)

    def _look_around(
        self, texts: Sequence[str], words: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the numbers of the pieces whose tokens are those of the texts, and how many pieces each text has.

        They are its words, except that special words are joined to their neighbors or cut. A text that holds a rule
        with white space is one piece.
        """
        # (M,) flags of words become the rows (texts) that hold a special word.
        hits = np.flatnonzero(self._is_special.rows[words])
        rows = set(np.searchsorted(np.cumsum(counts), hits, side="right").tolist())
        if (has_spaced_rule := self._has_spaced_rule) is not None:
            rows |= {row for row, text in enumerate(texts) if has_spaced_rule(text)}
        # Keep the words of all other texts, and put the pieces of these rows in their place.
        parts, done, starts, num_pieces = list[NDArray[np.int64]](), 0, offsets_of(counts), counts.copy()
        for row in sorted(rows):
            own = self._pieces_of(texts[row])
            parts += [words[done : starts[row]], self._numbers(own, len(own), are_words=False)]
            done, num_pieces[row] = starts[row + 1], len(own)
        return np.concatenate([*parts, words[done:]]), num_pieces

    def _pieces_of(self, text: str) -> list[str]:
        """Return the pieces of a text that may be more or less than its words."""
        cut = cut_long_runs(text, max_run=self._max_run)
        if cut != text:
            words = cut.split()
            self._numbers(words, len(words), are_words=True)  # which may make some of them known as joined
        if self._has_spaced_rule is not None and self._has_spaced_rule(cut):
            return [cut]
        return [piece for merged in merge_around(find_pieces(cut), self._joined) if (piece := merged.strip())]

    def _learn(self, pieces: list[str], *, are_words: bool) -> NDArray[np.bool_]:
        """Tokenize `pieces`, which are new, keep their tokens in that order, and return which of them are special."""
        # Most words: spaCy's rules in Python. A word that they leave to spaCy, or a long run, is special.
        cut, max_run = self._rules.cut, self._max_run if are_words else 0
        found = [cut(piece) if len(piece) <= max_run else None for piece in pieces]
        tokens_of: list[Sequence[str]] = [tokens or () for tokens in found]
        is_special = np.zeros(len(pieces), np.bool_)
        left = {piece: place for place, piece in enumerate(pieces) if found[place] is None}
        if are_words:
            is_special[list(left.values())] = True
            left = {piece: place for piece, place in left.items() if len(piece) <= max_run}
            self._joined.update(left, (f"{piece} " for piece in left))
        if left:
            for piece, tokens in self._spacy_tokens(left):
                tokens_of[left[piece]] = tokens
        # (P,) tokens of each piece, and all of them one after another as numbers.
        sizes = np.fromiter(map(len, tokens_of), np.int64, len(pieces))
        all_tokens = chain.from_iterable(tokens_of)
        numbers = np.fromiter(map(self._token_numbers.__getitem__, all_tokens), np.int32, int(sizes.sum()))
        self._tokens.append(RaggedArray(numbers, sizes))
        return is_special

    def _spacy_tokens(self, pieces: Iterable[str]) -> list[tuple[str, list[str]]]:
        """Have spaCy tokenize pieces of several words, and words that it may join; return them with their tokens."""
        strings, tokenizer = self._nlp.vocab.strings, self._word_tokenizer
        with self._nlp.memory_zone():
            return [
                (piece, [token for row in rows if not (token := strings[row[0]]).isspace()])
                for piece, rows, _ in tokenizer.tokenize(pieces)
            ]


class _Numbering(dict[str, int]):
    """The number of each string; an unknown one gets the next number."""

    def __init__(self) -> None:
        super().__init__()
        self.distinct: list[str] = []
        """The strings in the order of their numbers."""
        self.num_chars = 0
        """Of all strings together."""

    def __missing__(self, string: str) -> int:
        number = self[string] = len(self)
        self.distinct.append(string)
        self.num_chars += len(string)
        return number
