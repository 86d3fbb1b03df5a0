"""What the network reads: one batch of texts as integers.

Legend of all of `models/`: B texts of a batch, T tokens of its longest text, C bytes of a spelling, E embedding
dimensions, H features of a time step after the encoder, P features after pooling, L labels.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """B texts, right-padded with 0; a text may have no token at all."""

    token_ids: Tensor
    """(B, T) integers; 0 is padding, 1 the unknown word. Ids at or beyond the vocabulary are unknown words too."""
    pos_ids: Tensor | None
    """(B, T) integers, index into POS_TAGS, or None when the network has no part-of-speech embedding."""
    lengths: Tensor
    """(B,) int64 number of tokens of each text, 0 allowed."""
    char_ids: Tensor | None = None
    """(B, T, C) bytes of each token's spelling (see `spelling`), or None when the network reads no characters."""

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "Batch":
        """Return the same batch on `device`."""
        moved = (None if part is None else part.to(device, non_blocking=non_blocking) for part in self)
        return Batch(*moved)  # type: ignore[arg-type]  # None only where None was
