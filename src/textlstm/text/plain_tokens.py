"""Tokens without parts of speech: spaCy's rules, applied once to each distinct word."""

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from textlstm.text.blocks import block_bounds
from textlstm.text.normalize import TokenNormalizer
from textlstm.text.prepared import PreparedTexts
from textlstm.text.runs import cut_long_runs
from textlstm.text.word_rules import WordRules
from textlstm.text.word_tokenizer import WordTokenizer, find_pieces, merge_around, spaced_rules

if TYPE_CHECKING:
    from spacy.language import Language

_MAX_WORDS = 250_000
"""The cache of words starts anew beyond this many; about 80 MB."""
_BLOCK_CHARS = 1_000_000


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
        self._spaced_rules = spaced_rules(nlp)
        self._clear()

    @cached_property
    def _word_tokenizer(self) -> WordTokenizer:
        """Made for the first word that needs it; a few texts often have none. Not to be made within a memory zone."""
        return WordTokenizer(self._nlp, ("ORTH", "NORM"))

    def _clear(self) -> None:
        self._words: dict[str, tuple[str, ...]] = {}
        """Normalised tokens of each word; "" stands for a removed one."""
        self._joined: set[str] = set()
        """Words whose tokens may depend on their neighbours, with and without the space that follows."""
        self._normal = _NormalTokens(self._normalizer)

    def prepare(self, texts: Sequence[str]) -> PreparedTexts:
        """Return the tokens of all texts."""
        tokens: list[str] = []
        ends = np.zeros(len(texts) + 1, np.int64)
        num_removed = np.zeros(len(texts), np.int32)
        for start, end in block_bounds(texts, max_chars=_BLOCK_CHARS):
            self._prepare_block(
                texts[start:end], tokens, ends=ends[start + 1 : end + 1], removed=num_removed[start:end]
            )
        return PreparedTexts(tokens=tokens, offsets=ends, pos=None, num_removed=num_removed)

    def _prepare_block(self, texts: Sequence[str], tokens: list[str], *, ends: np.ndarray, removed: np.ndarray) -> None:
        """Append the tokens of `texts` to `tokens`; fill `ends` and `removed`, one number a text."""
        words_of = self._words_of(texts)
        tokens_of = self._words.__getitem__
        removes = bool(self._normalizer.stop_words)
        for index, words in enumerate(words_of):
            if removes:
                found = list(chain.from_iterable(map(tokens_of, words)))
                kept = list(filter(None, found))
                removed[index] = len(found) - len(kept)
                tokens += kept
            else:
                tokens += chain.from_iterable(map(tokens_of, words))
            ends[index] = len(tokens)

    def _words_of(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the words of each text, all of which are known then; a text to be tokenised whole is one word."""
        if len(self._words) > _MAX_WORDS:
            self._clear()
        words_of = [text.split() for text in texts]
        self._learn(set().union(*words_of))
        spaced, joined = self._spaced_rules, self._joined
        for index, (text, words) in enumerate(zip(texts, words_of, strict=True)):
            if spaced and any(rule in text for rule in spaced):
                words_of[index] = self._learn_whole([text])
            elif joined and not joined.isdisjoint(words):
                pieces = [piece.strip() for piece in merge_around(find_pieces(text), joined)]
                words_of[index] = self._learn_whole([piece for piece in pieces if piece])
        return words_of

    def _learn(self, words: set[str]) -> None:
        """Tokenise those of `words` that are new."""
        new = words.difference(self._words)
        if not new:
            return
        cut = {word: cut_long_runs(word, max_run=self._max_run).split() for word in new if len(word) > self._max_run}
        pieces = set(chain.from_iterable(cut.values())) - self._words.keys()
        left = list[str]()
        for word in (new - cut.keys()) | pieces:
            tokens = self._rules.cut(word)
            if tokens is None:
                left.append(word)
            else:
                self._words[word] = tuple([self._normal[token] for token in tokens])
        if left:
            self._learn_joined(left)
        for word, parts in cut.items():
            self._words[word] = tuple(chain.from_iterable(map(self._words.__getitem__, parts)))
            if not self._joined.isdisjoint(parts):
                self._joined |= {word, word + " "}

    def _learn_joined(self, words: list[str]) -> None:
        """Have spaCy tokenise new `words` whose tokens its last step may join."""
        tokenizer = self._word_tokenizer
        with self._nlp.memory_zone():
            for word, rows, is_joined in tokenizer.tokenize(words):
                self._words[word] = self._tokens_of(rows)
                if is_joined:
                    self._joined |= {word, word + " "}

    def _learn_whole(self, pieces: list[str]) -> list[str]:
        """Tokenise those of `pieces` that are new, where a piece may hold several words; return `pieces`."""
        tokenizer = self._word_tokenizer
        with self._nlp.memory_zone():
            for piece in pieces:
                if piece not in self._words:
                    whole = next(tokenizer.tokenize([cut_long_runs(piece, max_run=self._max_run)]))
                    self._words[piece] = self._tokens_of(whole.rows)
        return pieces

    def _tokens_of(self, rows: Sequence[tuple[int, ...]]) -> tuple[str, ...]:
        strings = self._nlp.vocab.strings
        return tuple(self._normal[token] for row in rows if not (token := strings[row[0]]).isspace())


class _NormalTokens(dict[str, str]):
    """The normalised form of each token, "" for a removed one; equal ones are one string, hashed once."""

    def __init__(self, normalizer: TokenNormalizer) -> None:
        super().__init__()
        self._normalizer = normalizer
        self._interned: dict[str, str] = {}

    def __missing__(self, token: str) -> str:
        normalized = "" if self._normalizer.is_removed(token) else self._normalizer.normalize(token)
        normalized = self[token] = self._interned.setdefault(normalized, normalized)
        return normalized
