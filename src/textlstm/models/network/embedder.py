"""From token ids to vectors: words, parts of speech, characters and n-grams of unknown words.

Dimensions: B texts, T tokens, C bytes of a spelling, E dimensions of a token vector, V words of the vocabulary.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from textlstm.config import ModelConfig
from textlstm.models.network.batch import Batch
from textlstm.models.network.dropout import LockedDropout, drop_words, word_type_scale
from textlstm.models.network.inputs import HASH_MODULUS, HASH_MULTIPLIER, NGRAM_WIDTHS

# Vectors from spellings: a CNN over bytes, and hashed n-grams for words outside the vocabulary.


class CharacterCNN(nn.Module):
    """A convolution of width 3 over the bytes of each token, then the maximum over its positions."""

    def __init__(self, num_chars: int, *, embedding_size: int, num_filters: int) -> None:
        """Embed `num_chars` byte values (0 is padding) and apply `num_filters` filters."""
        super().__init__()
        self.embedding = nn.Embedding(num_chars, embedding_size, padding_idx=0)
        self.convolution = nn.Conv1d(embedding_size, num_filters, 3, padding=1)

    def forward(self, char_ids: Tensor) -> Tensor:
        """Return (T, B, filters) from (T, B, C) byte ids; a padded token gives zeros."""
        T, B, C = char_ids.shape
        flat = char_ids.reshape(T * B, C).long()
        # (T * B, C) bytes -> (T * B, C, embedding) -> (T * B, filters, C) -> maximum over C -> (T, B, filters)
        filtered = functional.relu(self.convolution(self.embedding(flat).transpose(1, 2)))
        filtered = filtered * (flat > 0).unsqueeze(1)
        return filtered.amax(dim=2).view(T, B, filtered.shape[1])


class SubwordBuckets(nn.Module):
    """The mean vector of a word's hashed byte 3-, 4- and 5-grams (fastText, Bojanowski et al. 2017)."""

    def __init__(self, num_buckets: int, size: int) -> None:
        """Share `num_buckets` vectors of `size` dimensions between all n-grams."""
        super().__init__()
        self.num_buckets = num_buckets
        self.vectors = nn.Embedding(num_buckets + 1, size, padding_idx=0)
        nn.init.normal_(self.vectors.weight, std=0.1)
        with torch.no_grad():
            self.vectors.weight[0].zero_()

    def forward(self, char_ids: Tensor, wanted: Tensor) -> Tensor:
        """Return (T, B, size) means of n-gram vectors from (T, B, C) bytes, zeros where (T, B, 1) `wanted` is false."""
        T, B, C = char_ids.shape
        # (T, B, C) bytes -> (T * B, n-grams) buckets -> (T * B, size) sums -> (T, B, size) means
        ids = self.bucket_ids(char_ids.reshape(T * B, C).long() * wanted.reshape(T * B, 1))
        total = functional.embedding_bag(ids, self.vectors.weight, mode="sum", padding_idx=0)
        return (total / (ids > 0).sum(dim=1, keepdim=True).clamp(min=1)).view(T, B, total.shape[1])

    def bucket_ids(self, char_ids: Tensor) -> Tensor:
        """Return (N, n-grams) int64 bucket numbers from 1 of (N, C) spellings, 0 where there is no n-gram."""
        C = char_ids.shape[1]
        found = []
        for width in NGRAM_WIDTHS:
            if width > C:
                break
            # Hash of every window: (N, C - width + 1). It starts from the width, so that equal bytes of two widths
            # differ.
            key = torch.full_like(char_ids[:, : C - width + 1], width)
            for k in range(width):
                key = (key * HASH_MULTIPLIER + char_ids[:, k : C - width + 1 + k]) % HASH_MODULUS
            full = char_ids[:, width - 1 :] > 0  # spellings have no inner zeros, so the last byte tells
            found.append((key % self.num_buckets + 1) * full)
        return torch.cat(found, dim=1)


UNKNOWN_ID = 1


class Embedder(nn.Module):
    """Concatenates the word vector, the part-of-speech vector and the character CNN of each token.

    `words` is the (V, E) table (row 0, padding, stays zero; row 1 is the unknown word). `subwords` adds the mean of
    the hashed character n-grams of a word to the unknown vector; word dropout trains it on known words.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        vocabulary_size: int,
        word_size: int,
        num_pos: int,
        num_chars: int,
        embeddings: Tensor | None,
    ) -> None:
        """Build the tables; `embeddings` (V, E) float32 replaces random word vectors of `word_size` dimensions."""
        super().__init__()
        word_size = word_size if embeddings is None else embeddings.shape[1]
        self.words = nn.Embedding(vocabulary_size, word_size, padding_idx=0)
        with torch.no_grad():
            if embeddings is None:
                nn.init.normal_(self.words.weight, std=0.1)
            else:
                self.words.weight.copy_(embeddings)
            self.words.weight[0].zero_()
        self.pos = nn.Embedding(num_pos, config.pos_embedding_size) if config.pos_embedding_size else None
        if self.pos is not None:
            nn.init.normal_(self.pos.weight, std=0.1)
        self.chars = (
            CharacterCNN(num_chars, embedding_size=config.char_embedding_size, num_filters=config.char_cnn_size)
            if config.char_cnn_size
            else None
        )
        self.subwords = SubwordBuckets(config.subword_buckets, word_size) if config.subword_buckets else None
        self.dropout = LockedDropout(config.locked_dropout)
        self.word_dropout = config.word_dropout
        self.embedding_dropout = config.embedding_dropout
        self.output_size = word_size + config.pos_embedding_size + config.char_cnn_size

    def forward(self, batch: Batch) -> Tensor:
        """Return (B, T, E) float32 vectors with the steps first in memory, the layout that the encoder needs.

        Raises:
            ValueError: the network reads parts of speech or characters and the batch has none.
        """
        # Words: ids beyond the vocabulary are unknown words; from here on the steps come first.
        token_ids = batch.token_ids.long()
        token_ids = token_ids.masked_fill(token_ids >= self.words.num_embeddings, UNKNOWN_ID).t()  # (T, B)
        # Before the subwords: a dropped word is unknown to them too, which is how they are trained.
        if self.training:
            token_ids = drop_words(token_ids, self.word_dropout, unknown_id=UNKNOWN_ID)
        vectors = self.words(token_ids.contiguous())  # (T, B, word_size)
        if self.subwords is not None:
            unknown = (token_ids == UNKNOWN_ID).unsqueeze(-1)
            vectors = vectors + self.subwords(_by_step(batch.char_ids, "char_ids"), unknown)
        if self.training and self.embedding_dropout > 0:
            size = self.words.num_embeddings
            vectors = vectors * word_type_scale(token_ids, self.embedding_dropout, vocabulary_size=size)

        # Beside them parts of speech and characters: (T, B, E).
        parts = [vectors]
        if self.pos is not None:
            parts.append(self.pos(_by_step(batch.pos_ids, "pos_ids").long()))
        if self.chars is not None:
            parts.append(self.chars(_by_step(batch.char_ids, "char_ids")))
        embedded = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
        dropped: Tensor = self.dropout(embedded.transpose(0, 1))
        return dropped


def _by_step(part: Tensor | None, name: str) -> Tensor:
    """Return (B, T, ...) as (T, B, ...); raise ValueError if the batch has no such part."""
    if part is None:
        raise ValueError(f"the network reads Batch.{name}, but the batch has none")
    return part.transpose(0, 1).contiguous()
