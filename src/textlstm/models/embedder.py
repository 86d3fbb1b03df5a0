"""From token ids to vectors: words, parts of speech, characters and pieces of unknown words, side by side."""

import torch
from torch import Tensor, nn

from textlstm.config import ModelConfig
from textlstm.models.batch import Batch
from textlstm.models.characters import CharacterCNN, SubwordBuckets
from textlstm.models.dropout import LockedDropout, drop_words, word_type_scale

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
        """Return (B, T, E) float32 vectors, whose memory has the steps first, as the encoder wants them.

        Raises:
            ValueError: the network reads parts of speech or characters and the batch has none.
        """
        token_ids = batch.token_ids.long()
        token_ids = token_ids.masked_fill(token_ids >= self.words.num_embeddings, UNKNOWN_ID).t()  # (T, B)
        if self.training:
            token_ids = drop_words(token_ids, self.word_dropout, unknown_id=UNKNOWN_ID)
        vectors = self.words(token_ids.contiguous())
        if self.subwords is not None:
            unknown = (token_ids == UNKNOWN_ID).unsqueeze(-1)
            vectors = vectors + self.subwords(_by_step(batch.char_ids, "char_ids"), unknown)
        if self.training and self.embedding_dropout > 0:
            size = self.words.num_embeddings
            vectors = vectors * word_type_scale(token_ids, self.embedding_dropout, vocabulary_size=size)
        parts = [vectors]
        if self.pos is not None:
            parts.append(self.pos(_by_step(batch.pos_ids, "pos_ids").long()))
        if self.chars is not None:
            parts.append(self.chars(_by_step(batch.char_ids, "char_ids")))
        embedded = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
        dropped: Tensor = self.dropout(embedded.transpose(0, 1))
        return dropped


def _by_step(part: Tensor | None, name: str) -> Tensor:
    """Return a part of the batch with the steps before the texts."""
    if part is None:
        raise ValueError(f"the network reads Batch.{name}, but the batch has none")
    return part.transpose(0, 1).contiguous()
