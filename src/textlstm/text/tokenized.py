"""The result of preparation: tokens of many texts, flat."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from textlstm.arrays.ragged import SplitWords
from textlstm.arrays.strings import TokenColumn


@dataclass(frozen=True, slots=True)
class TokenizedTexts:
    """Kept tokens of N texts, one after another; text i has `tokens[offsets[i]:offsets[i + 1]]`."""

    tokens: TokenColumn
    """All kept tokens, normalized."""
    offsets: NDArray[np.int64]
    """(N + 1,) int64."""
    pos: NDArray[np.uint8] | None
    """(len(tokens),) uint8 index into POS_TAGS; None without tagger."""
    num_removed: NDArray[np.int32]
    """(N,) int32 tokens that the stop-word and part-of-speech filters removed; white space does not count."""
    words: SplitWords | None = None
    """The words of the texts as they were given, where preparation has found them; others may want them too."""

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.offsets) - 1

    def text_tokens(self, index: int) -> list[str]:
        """Return the tokens of one text."""
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]


def join_tokenized(parts: Sequence[TokenizedTexts]) -> TokenizedTexts:
    """Return the texts of all `parts`, in order; parts with and without tags cannot be mixed."""
    lengths = [np.diff(part.offsets) for part in parts]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate([np.zeros(0, np.int64), *lengths]))])
    tags = [part.pos for part in parts if part.pos is not None]
    if tags and len(tags) != len(parts):
        raise ValueError("parts with and without tags cannot be joined")
    pos = np.concatenate(tags) if tags else None
    num_removed = np.concatenate([np.zeros(0, np.int32), *(part.num_removed for part in parts)])
    return TokenizedTexts(
        tokens=_join_tokens([part.tokens for part in parts]), offsets=offsets, pos=pos, num_removed=num_removed
    )


def _join_tokens(columns: Sequence[TokenColumn]) -> TokenColumn:
    if columns and all(column.distinct is columns[0].distinct for column in columns):
        return TokenColumn(columns[0].distinct, np.concatenate([column.numbers for column in columns]))
    return TokenColumn.of(chain.from_iterable(columns))
