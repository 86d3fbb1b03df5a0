"""Spellings: the bytes of a word as a short row of numbers, the one encoding for characters and subwords."""

from collections.abc import Sequence

import numpy as np

SPELLING_SIZE = 24
"""Bytes of a spelling, both marks included; longer words keep their first 14 and last 8 bytes."""
NUM_CHARS = 256
_BEGIN, _END = 0xFE, 0xFF  # never occur in UTF-8
_HEAD, _TAIL = 14, 8
NGRAM_WIDTHS = (3, 4, 5)
"""Bytes of the n-grams that stand for unknown words (`model.subword_buckets`)."""
HASH_MULTIPLIER, HASH_MODULUS = 1_000_003, 2**31 - 1
"""Of the polynomial hash that puts n-grams into buckets."""


def spell(words: Sequence[str]) -> np.ndarray:
    """Return (N, SPELLING_SIZE) uint8 UTF-8 bytes between a begin and an end mark, padded with 0.

    `spell(["ab"])[0]` is [254, 97, 98, 255, 0, 0, ...].
    """
    rows = bytearray(len(words) * SPELLING_SIZE)
    for i, word in enumerate(words):
        encoded = word.encode("utf-8", "surrogatepass").replace(b"\0", b"")
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
        """(vocabulary size + distinct unknown words, SPELLING_SIZE) uint8; rows 0 and 1 are all zero."""
        self.table[:2] = 0
