"""Rows of a split as flat integer arrays: what training and prediction read. numpy alone."""

from dataclasses import dataclass

import numpy as np

from textlstm.config import ModelConfig
from textlstm.models.network.spelling import SpelledTokens
from textlstm.text.tokenized import TokenizedTexts
from textlstm.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class EncodedSplit:
    """N texts after the cap on their length; text i has tokens [offsets[i], offsets[i + 1])."""

    token_ids: np.ndarray
    """(M,) int32 ids in the vocabulary; ids at or beyond its size are unknown words with a row in `spellings`."""
    offsets: np.ndarray
    """(N + 1,) int64."""
    pos_ids: np.ndarray | None
    """(M,) uint8 parts of speech, or None when the network reads none."""
    targets: np.ndarray
    """(N,) int64 label ids of a single-label task, or (N, L) float32 zeros and ones of a multi-label task."""
    spellings: np.ndarray | None = None
    """(words, C) uint8 spelling of each token id, or None when the network reads no characters."""

    @property
    def num_rows(self) -> int:
        """Number of texts."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """(N,) int64 tokens of each text."""
        return np.diff(self.offsets)


def encode_texts(
    texts: TokenizedTexts, *, vocabulary: Vocabulary, model: ModelConfig, targets: np.ndarray
) -> EncodedSplit:
    """Return what the network of `model` reads of N texts; `targets` is (N,) or (N, L)."""
    token_ids, spellings = texts.tokens.each(vocabulary.encode), None
    if model.char_cnn_size or model.subword_buckets:
        spelled = SpelledTokens(token_ids, texts.tokens, vocabulary.tokens)
        token_ids, spellings = spelled.token_ids, spelled.table
    return encode_split(
        token_ids,
        texts.offsets,
        texts.pos if model.pos_embedding_size else None,
        targets,
        max_tokens=model.max_tokens,
        spellings=spellings,
    )


def encode_split(
    token_ids: np.ndarray,
    offsets: np.ndarray,
    pos: np.ndarray | None,
    targets: np.ndarray,
    *,
    max_tokens: int,
    spellings: np.ndarray | None = None,
) -> EncodedSplit:
    """Cap every text at `max_tokens` tokens, its first three quarters and last quarter, and return the split.

    With `max_tokens` 4, a text of tokens [a b c d e f] keeps [a b c f].

    Args:
        token_ids: (M,) integers.
        offsets: (N + 1,) integers, starts of texts.
        pos: (M,) integers, or None.
        targets: (N,) label ids or (N, L) zeros and ones.
        max_tokens: most tokens a text.
        spellings: (words, C) or None.

    Raises:
        ValueError: the arrays do not fit together.
    """
    num_rows = len(offsets) - 1
    if len(targets) != num_rows:
        raise ValueError(f"targets has {len(targets)} rows, offsets has {num_rows}")
    if len(token_ids) != offsets[-1] or (pos is not None and len(pos) != len(token_ids)):
        raise ValueError(f"offsets end at {offsets[-1]}, but there are {len(token_ids)} token ids")
    offsets = np.asarray(offsets, dtype=np.int64)
    lengths = np.diff(offsets)
    if num_rows and lengths.max() > max_tokens:
        keep = _capped(lengths, max_tokens)
        token_ids = token_ids[keep]
        pos = None if pos is None else pos[keep]
        offsets = np.concatenate([[0], np.cumsum(np.minimum(lengths, max_tokens))])
    dtype = np.float32 if targets.ndim == 2 else np.int64
    return EncodedSplit(
        token_ids=np.ascontiguousarray(token_ids, dtype=np.int32),
        offsets=offsets,
        pos_ids=None if pos is None else np.ascontiguousarray(pos, dtype=np.uint8),
        targets=np.ascontiguousarray(targets, dtype=dtype),
        spellings=spellings,
    )


def _capped(lengths: np.ndarray, max_tokens: int) -> np.ndarray:
    """Return (M,) bool, True for tokens that stay."""
    tail = max_tokens // 4
    starts = np.cumsum(lengths) - lengths
    position = np.arange(lengths.sum()) - np.repeat(starts, lengths)
    last = np.repeat(np.maximum(lengths - tail, 0), lengths)
    return np.asarray((position < max_tokens - tail) | (position >= last))
