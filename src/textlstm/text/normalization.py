"""From a token as spaCy cuts it to the token that the model sees: normalization, stop words, parts of speech."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textlstm.arrays.ragged import ResizableArray
from textlstm.arrays.strings import TokenColumn
from textlstm.text.tokenized import TaggedTexts, TokenizedTexts

NUMBER_TOKEN = "<num>"  # noqa: S105
URL_TOKEN = "<url>"  # noqa: S105
EMAIL_TOKEN = "<email>"  # noqa: S105

_REMOVED = 0
"""Number of the token that stands for removed ones."""
_NUMBER = re.compile(r"[+\-−]?[.,]?\d+(?:[.,:/'’\-]\d+)*(?:%|st|nd|rd|th|s)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TokenNormalizer:
    """Lower-casing, numbers, addresses and stop words of one token, which nothing but the token decides."""

    lowercase: bool
    normalize_numbers: bool
    normalize_urls: bool
    stop_words: frozenset[str]
    like_url: Callable[[str], bool]
    """spaCy's test of the language."""
    like_email: Callable[[str], bool]

    def is_removed(self, token: str) -> bool:
        """Say whether the token is a stop word, in any case of letters."""
        return bool(self.stop_words) and token.lower() in self.stop_words

    def normalize(self, token: str) -> str:
        """Return the model's token, such as `<num>` for `1,200` or `the` for `The`.

        Numbers are digits with separators, a sign, %, or an ordinal ending; number words stay words.
        """
        # A token without dot and colon cannot be an address, so spaCy's tests are not called for it.
        if self.normalize_urls and ("." in token or ":" in token):
            if self.like_email(token):
                return EMAIL_TOKEN
            if self.like_url(token):
                return URL_TOKEN
        if self.normalize_numbers and not token[:1].isalpha() and _NUMBER.fullmatch(token):
            return NUMBER_TOKEN
        return token.lower() if self.lowercase else token


class TokenFilter:
    """Removes stop words and unwanted parts of speech from tagged texts, and normalizes the tokens that are left.

    The texts of every engine pass through here, so that a setting means the same for all of them. Each distinct token
    is examined once: an engine goes on in the same list of distinct tokens from call to call.
    """

    def __init__(self, normalizer: TokenNormalizer, kept_pos: NDArray[np.bool_]) -> None:
        """Normalize with `normalizer`; `kept_pos` (len(POS_TAGS),) says which parts of speech stay."""
        self._normalizer = normalizer
        self._kept_pos = kept_pos
        self._filters_pos = not kept_pos.all()
        self._start_anew([])

    def _start_anew(self, distinct: Sequence[str]) -> None:
        self._distinct = distinct
        """The engine's tokens, by the engine's numbers."""
        self._numbers = ResizableArray(np.empty(0, np.int32), lambda count: np.empty(count, np.int32))
        """For each of them, its place in `_normalized`; _REMOVED for a stop word."""
        self._normalized = [""]
        """The model's tokens; the first one stands for removed ones."""
        self._places = {"": _REMOVED}

    def apply(self, texts: TaggedTexts) -> TokenizedTexts:
        """Return the kept tokens of N texts, and how many of each text were removed."""
        numbers = self._model_numbers(texts)
        is_kept: NDArray[np.bool_] | None = numbers != _REMOVED if self._normalizer.stop_words else None
        if self._filters_pos and texts.pos is not None:
            kept_pos = self._kept_pos[texts.pos]
            is_kept = kept_pos if is_kept is None else is_kept & kept_pos
        num_removed = np.zeros(len(texts.offsets) - 1, np.int32)
        tokens = TokenColumn(self._normalized, numbers)
        whole = TokenizedTexts(tokens, texts.offsets, texts.pos, num_removed, texts.words)
        # Without a filter, offsets and tags of the engine stay as they are.
        return whole if is_kept is None else whole.keep(is_kept)

    def _model_numbers(self, texts: TaggedTexts) -> NDArray[np.int32]:
        """Return (M,) int32 places of the model's tokens in `_normalized`."""
        distinct = texts.tokens.distinct
        # Another list of tokens means that the engine began again: its numbers have another meaning now.
        if distinct is not self._distinct:
            self._start_anew(distinct)
        first = len(self._numbers)
        if first < len(distinct):
            self._numbers.append(self._learn(distinct[first:], texts.lemmas[first:] if texts.lemmas else None))
        numbers: NDArray[np.int32] = self._numbers.rows[texts.tokens.numbers]
        return numbers

    def _learn(self, tokens: Sequence[str], lemmas: Sequence[str] | None) -> NDArray[np.int32]:
        """Return the numbers of new tokens: the stop list holds words, the model reads lemmas where there are any."""
        is_removed, normalize = self._normalizer.is_removed, self._normalizer.normalize
        places, normalized = self._places, self._normalized
        numbers = []
        for token, form in zip(tokens, lemmas or tokens, strict=True):
            # The empty token has the number _REMOVED, so stop words get it by the same look-up.
            model_token = "" if is_removed(token) else normalize(form)
            number = places.setdefault(model_token, len(normalized))
            if number == len(normalized):
                normalized.append(model_token)
            numbers.append(number)
        return np.array(numbers, np.int32)
