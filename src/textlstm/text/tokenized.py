"""Tokens of many texts, flat: as an engine cuts and tags them, and as the filters leave them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Self

import numpy as np
from numpy.typing import NDArray

from textlstm.arrays.ragged import SplitWords, join_split
from textlstm.arrays.strings import TokenColumn


@dataclass(frozen=True, slots=True)
class TaggedTexts:
    """All tokens of N texts except white space, as spaCy cuts and tags them; nothing is filtered yet."""

    tokens: TokenColumn
    """(M,) as they are written. An engine that goes on in the same list of distinct tokens saves the filter's work."""
    offsets: NDArray[np.int64]
    """(N + 1,) int64; text i has `tokens[offsets[i]:offsets[i + 1]]`."""
    pos: NDArray[np.uint8] | None
    """(M,) uint8 index into POS_TAGS; None without tagger."""
    lemmas: Sequence[str] | None = None
    """The lemma of each of `tokens.distinct`; None where words stand for themselves."""
    words: SplitWords | None = None
    """The texts cut at white space, where the engine has done so."""


@dataclass(frozen=True, slots=True)
class TokenizedTexts:
    """Kept tokens of N texts, one after another; text i has `tokens[offsets[i]:offsets[i + 1]]`."""

    tokens: TokenColumn
    """(M,) kept tokens, normalized."""
    offsets: NDArray[np.int64]
    """(N + 1,) int64."""
    pos: NDArray[np.uint8] | None
    """(M,) uint8 index into POS_TAGS; None without tagger."""
    num_removed: NDArray[np.int32]
    """(N,) int32 tokens that the stop-word and part-of-speech filters removed; white space does not count."""
    words: SplitWords | None = None
    """The texts cut at white space, where the engine has done so: the linear expert reads the same words."""

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.offsets) - 1

    def text_tokens(self, index: int) -> list[str]:
        """Return the tokens of one text."""
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]

    def keep(self, is_kept: NDArray[np.bool_]) -> Self:
        """Return the texts without the tokens whose (M,) flag is false; they count as removed."""
        # kept_before[m] counts the kept tokens in front of token m, so it maps old offsets to new ones: (M,) to (K,)
        # tokens.
        kept_before = np.zeros(len(self.tokens) + 1, np.int64)
        np.cumsum(is_kept, out=kept_before[1:])
        offsets = kept_before[self.offsets]
        num_removed = (np.diff(self.offsets) - np.diff(offsets)).astype(np.int32)
        return replace(
            self,
            tokens=TokenColumn(self.tokens.distinct, self.tokens.numbers[is_kept]),
            offsets=offsets,
            pos=None if self.pos is None else self.pos[is_kept],
            num_removed=self.num_removed + num_removed,
        )


def join_tokenized(parts: Sequence[TokenizedTexts]) -> TokenizedTexts:
    """Return the texts of all `parts`, in order; parts with and without tags cannot be mixed.

    Raises:
        ValueError: some parts have tags and some have none.
    """
    if len(parts) == 1:
        return parts[0]
    lengths = [np.diff(part.offsets) for part in parts]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate([np.zeros(0, np.int64), *lengths]))])
    tags = [part.pos for part in parts if part.pos is not None]
    if tags and len(tags) != len(parts):
        raise ValueError("parts with and without tags cannot be joined")
    return TokenizedTexts(
        tokens=_join_tokens([part.tokens for part in parts]),
        offsets=offsets,
        pos=np.concatenate(tags) if tags else None,
        num_removed=np.concatenate([np.zeros(0, np.int32), *(part.num_removed for part in parts)]),
        words=_join_words(parts),
    )


def _join_tokens(columns: Sequence[TokenColumn]) -> TokenColumn:
    # Parts of one engine share their list of distinct tokens, so their numbers hold as they are.
    if columns and all(column.distinct is columns[0].distinct for column in columns):
        return TokenColumn(columns[0].distinct, np.concatenate([column.numbers for column in columns]))
    return TokenColumn.of(chain.from_iterable(columns))


def _join_words(parts: Sequence[TokenizedTexts]) -> SplitWords | None:
    """Return the words of all parts where every part has them in one numbering, else None."""
    words = [part.words for part in parts if part.words is not None]
    if not words or len(words) != len(parts):
        return None
    distinct = words[0].words.distinct
    return join_split(words) if all(part.words.distinct is distinct for part in words) else None
