"""What a token's spelling says: a CNN over its bytes, and hashed n-grams for words outside the vocabulary."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from textlstm.models.spelling import HASH_MODULUS, HASH_MULTIPLIER, NGRAM_WIDTHS


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
        filtered = functional.relu(self.convolution(self.embedding(flat).transpose(1, 2)))  # (T * B, filters, C)
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
            key = torch.full_like(char_ids[:, : C - width + 1], width)
            for k in range(width):
                key = (key * HASH_MULTIPLIER + char_ids[:, k : C - width + 1 + k]) % HASH_MODULUS
            full = char_ids[:, width - 1 :] > 0  # spellings have no inner zeros: the last byte decides
            found.append((key % self.num_buckets + 1) * full)
        return torch.cat(found, dim=1)
