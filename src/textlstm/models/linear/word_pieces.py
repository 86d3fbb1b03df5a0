"""Words cut into the pieces of a pretrained tokenizer (library tokenizers), each distinct word once."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from textlstm.arrays.ragged import DistinctRows, RaggedArray, SplitWords, offsets_of, row_numbers

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_MAX_WORD = 100
"""Longer words count with their first characters only."""
_FEW_WORDS = 256
_MAX_CACHED_WORDS = 100_000


class PieceCounter:
    """Counts the word pieces of texts; the pieces of a word are cached while texts continue one numbering of words."""

    def __init__(self, tokenizer_json: str) -> None:
        """Read a tokenizer of the library tokenizers.

        Args:
            tokenizer_json: what `Tokenizer.to_str` wrote.
        """
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(tokenizer_json)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokenizer_json = tokenizer_json
        self.num_pieces: int = self._tokenizer.get_vocab_size()
        self._rows = DistinctRows(self._pieces_of, np.int64)
        """Ids of the pieces of each distinct word."""
        self._cache: dict[str, list[int]] = {}
        """Ids of the pieces of words that came a few at a time."""

    def pieces_of_one(self, texts: SplitWords) -> np.ndarray:
        """Return the ids of all pieces of a single text, in its order."""
        distinct = texts.words.distinct
        return self._pieces_of([distinct[number] for number in texts.words.numbers.tolist()]).values

    def shares(self, texts: SplitWords) -> "csr_array":
        """Return (N, P) float32 shares of each piece among the pieces of each text; a row sums to 1, or to 0."""
        from scipy.sparse import csr_array

        # From the pieces of each word to the pieces of each text: one row number for each piece.
        ids, sizes = self._rows.of(texts).take(texts.words.numbers)
        rows = np.repeat(row_numbers(texts.counts), sizes)
        offsets = offsets_of(np.bincount(rows, minlength=len(texts)))
        # Each occurrence of a piece weighs one part of its text; `sum_duplicates` adds up repeated pieces.
        weights = (1 / np.diff(offsets).clip(1))[rows].astype(np.float32)
        shares = csr_array((weights, ids, offsets), shape=(len(texts), self.num_pieces))
        shares.sum_duplicates()
        return shares

    def sums(self, words: Sequence[str], scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the (W, L) sums of the (P, L) `scores` of each word's pieces, and the (W,) numbers of pieces."""
        ids, sizes = self._pieces_of(words)
        sums = np.zeros((len(words), scores.shape[1]), dtype=np.float32)
        np.add.at(sums, row_numbers(sizes), scores[ids])
        return sums, sizes

    def _pieces_of(self, words: Sequence[str]) -> RaggedArray:
        # Lone surrogates, which tokenizers cannot take, become question marks.
        clean = [word[:_MAX_WORD].encode("utf-8", "replace").decode("utf-8") for word in words]
        # A batch of the tokenizer starts threads; the few words of one text are looked up, or cut one by one.
        if len(clean) < _FEW_WORDS:
            found = [self._pieces_of_word(word) for word in clean]
        elif self._joined is not None:
            return self._joined.pieces_of(clean)
        else:
            found = [encoding.ids for encoding in self._tokenizer.encode_batch(clean, add_special_tokens=False)]
        sizes = np.fromiter(map(len, found), np.int64, len(found))
        return RaggedArray(np.fromiter((piece for ids in found for piece in ids), np.int64, int(sizes.sum())), sizes)

    @cached_property
    def _joined(self) -> "JoinedWords | None":
        """For many words, where the tokenizer allows it; a few texts never need it."""
        settings = json.loads(self._tokenizer_json)
        return JoinedWords(self._tokenizer, settings["model"]["vocab"]) if cuts_words_alike(settings) else None

    def _pieces_of_word(self, word: str) -> list[int]:
        ids = self._cache.get(word)
        if ids is None:
            if len(self._cache) >= _MAX_CACHED_WORDS:
                self._cache.clear()
            ids = self._cache[word] = self._tokenizer.encode(word, add_special_tokens=False).ids
        return ids


_WORD_MARK = "\u2581"
"""Stands for a space at the start of a piece."""
_JOINED = 100
"""Words that are tokenized as one text."""


def cuts_words_alike(tokenizer: Mapping[str, Any]) -> bool:
    """Return whether the words of a text, joined by single spaces, have the pieces that each of them has alone.

    They do in byte pair encodings that put a mark in place of each space and one before the text, if no piece goes on
    beyond a mark: then no merge joins the pieces of two words. Llama's tokenizer, and so WordLlama's, is of this kind.

    Args:
        tokenizer: what `Tokenizer.to_str` wrote, read as JSON.
    """
    normalizer = {
        "type": "Sequence",
        "normalizers": [
            {"type": "Prepend", "prepend": _WORD_MARK},
            {"type": "Replace", "pattern": {"String": " "}, "content": _WORD_MARK},
        ],
    }
    model = tokenizer["model"]
    return (
        tokenizer["normalizer"] == normalizer
        and tokenizer["pre_tokenizer"] is None
        and model["type"] == "BPE"
        and _WORD_MARK in model["vocab"]
        and not any(_WORD_MARK in piece.lstrip(_WORD_MARK) for piece in model["vocab"])
    )


class JoinedWords:
    """Tokenizes many words as few texts, which takes a third of the time of as many texts as words."""

    def __init__(self, tokenizer: Any, vocabulary: Mapping[str, int]) -> None:
        """Use `tokenizer`, a `tokenizers.Tokenizer` that cuts words alike and has the pieces of `vocabulary`."""
        self._tokenizer = tokenizer
        # Tokens that are searched before a text is cut into pieces make two texts of one.
        added = {token.content: number for number, token in tokenizer.get_added_tokens_decoder().items()}
        self._find_odd = re.compile("|".join(map(re.escape, [_WORD_MARK, *added]))).search
        self._begins_word = np.zeros(max([*vocabulary.values(), *added.values()]) + 1, dtype=np.bool_)
        self._begins_word[[number for piece, number in vocabulary.items() if piece.startswith(_WORD_MARK)]] = True

    def pieces_of(self, words: Sequence[str]) -> RaggedArray:
        """Return the int64 ids of the pieces of each word."""
        texts: list[str] = []
        is_joined: list[bool] = []
        for start in range(0, len(words), _JOINED):
            group = words[start : start + _JOINED]
            text = " ".join(group)
            # Words with a mark, a space, or nothing in them: each of the group is a text of its own.
            if all(group) and text.count(" ") == len(group) - 1 and self._find_odd(text) is None:
                texts.append(text)
                is_joined.append(True)
            else:
                texts += group
                is_joined += [False] * len(group)
        ids, sizes = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        for encoding, joined in zip(encodings, is_joined, strict=True):
            pieces = np.array(encoding.ids, dtype=np.int64)
            # Each word of a joined text begins with the piece that holds its mark.
            starts = np.flatnonzero(self._begins_word[pieces]) if joined else np.zeros(1, dtype=np.int64)
            ids.append(pieces)
            sizes.append(np.diff(starts, append=len(pieces)))
        return RaggedArray(np.concatenate(ids), np.concatenate(sizes))
