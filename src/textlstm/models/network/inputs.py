"""Rows of a split as flat integer arrays: what training and prediction read. numpy alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from textlstm.arrays.ragged import offsets_of, places_of
from textlstm.config import ModelConfig
from textlstm.storage.mapped import MappedFile
from textlstm.text.tokenized import TokenizedTexts
from textlstm.vocabulary import Vocabulary

SPELLING_SIZE = 24
"""Bytes of a spelling, both marks included; longer words keep their first 14 and last 8 bytes."""
NUM_CHARS = 256
_BEGIN, _END = 0xFE, 0xFF  # never occur in UTF-8
_HEAD, _TAIL = 14, 8
NGRAM_WIDTHS = (3, 4, 5)
"""Bytes of the n-grams of unknown words (`model.subword_buckets`)."""
HASH_MULTIPLIER, HASH_MODULUS = 1_000_003, 2**31 - 1
"""Constants of the polynomial hash that puts n-grams into buckets."""


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
    weights: np.ndarray | None = None
    """(N,) float32 weights of the rows in the loss, of mean 1; None where all weigh alike."""
    file: MappedFile | None = None
    """Holds `token_ids` and then `pos_ids`; None where they are in memory."""

    def release(self) -> None:
        """Give back the memory of rows in a file; they are read again where they are needed."""
        if self.file is not None:
            self.file.release()

    def in_file(self, file: MappedFile) -> "EncodedSplit":
        """Return the split with the `token_ids` and `pos_ids` that `file` holds."""
        num_tokens = int(self.offsets[-1])
        tags = None if self.pos_ids is None else np.frombuffer(file.bytes, np.uint8, num_tokens, 4 * num_tokens)
        return replace(self, token_ids=np.frombuffer(file.bytes, np.int32, num_tokens), pos_ids=tags, file=file)

    def __reduce__(self) -> tuple[Callable[..., "EncodedSplit"], tuple[object, ...]]:
        """Let another process map the file anew, where there is one."""
        if self.file is None:
            return EncodedSplit, tuple(getattr(self, field.name) for field in fields(self))
        tags = None if self.pos_ids is None else self.pos_ids[:0]
        return EncodedSplit.in_file, (replace(self, token_ids=self.token_ids[:0], pos_ids=tags, file=None), self.file)

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
    # Unknown words get ids beyond the vocabulary, under which the network finds their spelling.
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
    # Cap long texts: (M,) tokens become fewer, and the offsets are counted anew.
    if num_rows and lengths.max() > max_tokens:
        keep = _capped(lengths, max_tokens)
        token_ids = token_ids[keep]
        pos = None if pos is None else pos[keep]
        offsets = offsets_of(np.minimum(lengths, max_tokens))
    dtype = np.float32 if targets.ndim == 2 else np.int64
    return EncodedSplit(
        token_ids=np.ascontiguousarray(token_ids, dtype=np.int32),
        offsets=offsets,
        pos_ids=None if pos is None else np.ascontiguousarray(pos, dtype=np.uint8),
        targets=np.ascontiguousarray(targets, dtype=dtype),
        spellings=spellings,
    )


def _capped(lengths: np.ndarray, max_tokens: int) -> np.ndarray:
    """Return (M,) bool, True for the tokens that are kept."""
    tail = max_tokens // 4
    position = places_of(np.zeros(len(lengths), np.int64), lengths)  # of each token within its text
    # The kept tail begins here. In texts within the cap it meets the head, so they stay whole.
    last = np.repeat(np.maximum(lengths - tail, 0), lengths)
    return np.asarray((position < max_tokens - tail) | (position >= last))


# Spellings: the bytes of a word as a row of numbers, which the character CNN and the subword n-grams read.


def spell(words: Sequence[str]) -> np.ndarray:
    """Return (N, SPELLING_SIZE) uint8 UTF-8 bytes between a begin and an end mark, padded with 0.

    `spell(["ab"])[0]` is [254, 97, 98, 255, 0, 0, ...].
    """
    rows = bytearray(len(words) * SPELLING_SIZE)
    for i, word in enumerate(words):
        # Zero bytes are taken out, since 0 is the padding.
        encoded = word.encode("utf-8", "surrogatepass").replace(b"\0", b"")
        # This may cut a character in two; the network reads bytes, not characters.
        if len(encoded) > _HEAD + _TAIL:
            encoded = encoded[:_HEAD] + encoded[-_TAIL:]
        start = i * SPELLING_SIZE
        rows[start : start + len(encoded) + 2] = bytes([_BEGIN]) + encoded + bytes([_END])
    return np.frombuffer(rows, dtype=np.uint8).reshape(len(words), SPELLING_SIZE)


class SpelledTokens:
    """Token ids in which unknown words keep their spelling.

    Words of the vocabulary keep their id; the k-th distinct unknown word gets id `vocabulary size + k`. The network
    treats those ids as unknown, and `table[token_ids]` are the `Batch.char_ids`.
    """

    def __init__(self, token_ids: np.ndarray, tokens: Sequence[str], vocabulary: Sequence[str]) -> None:
        """Extend (M,) `token_ids`, the ids of `tokens` in `vocabulary`, whose id 1 is the unknown word."""
        unknown = np.flatnonzero(token_ids == 1)
        numbers: dict[str, int] = {}
        extended = token_ids.copy()
        for i in unknown.tolist():
            extended[i] = len(vocabulary) + numbers.setdefault(tokens[i], len(numbers))
        self.token_ids = extended
        """(M,) ids, possibly beyond the vocabulary."""
        self.table = np.concatenate([spell(vocabulary), spell(list(numbers))])
        """(V + distinct unknown words, SPELLING_SIZE) uint8; rows 0 (padding) and 1 (unknown) are all zero."""
        self.table[:2] = 0
