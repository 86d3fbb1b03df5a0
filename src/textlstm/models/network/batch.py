"""Batches: texts as integers, gathered on the device.

Dimensions in all of `models/network`: B texts of a batch, T tokens of its longest text, C bytes of a spelling,
E embedding dimensions, H units of a direction, P features after pooling, L labels, N rows of a split, V words of the
vocabulary.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from textlstm.models.network.inputs import EncodedSplit


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


class DeviceSplit:
    """A split on the device, as flat tensors; batches are gathered there."""

    def __init__(self, split: EncodedSplit, device: torch.device) -> None:
        """Copy the arrays of `split` to `device` (on the CPU they are shared, not copied)."""
        self.release = split.release
        """Gives back the memory of rows in a file; call it now and then."""
        self.lengths = split.lengths
        """(N,) int64 numpy array on the host, for the plan of batches."""
        # Padding reads place 0 of the flat tensors, so they have at least one number.
        flat = split.token_ids if len(split.token_ids) else np.zeros(1, np.int32)
        # A GPU holds ids as the embedding wants them, so that a batch needs no cast.
        self.token_ids = _on(device, flat) if device.type == "cpu" else _on(device, flat).long()
        self.spans = _on(device, np.stack([split.offsets[:-1], self.lengths], axis=1))
        """(N, 2) int64 start and length of each row in `token_ids`."""
        self.pos_ids = None if split.pos_ids is None else _on(device, _not_empty(split.pos_ids))
        self.spellings = None if split.spellings is None else _on(device, split.spellings)
        self.targets = _on(device, split.targets)
        self.weights = None if split.weights is None else _on(device, split.weights)

    def batch(self, rows: Tensor, *, width: int) -> Batch:
        """Return the batch of (B,) int64 `rows`, padded to T = `width` tokens, without waiting for the device."""
        starts, lengths = self.spans[rows].unbind(1)  # (B,) each
        steps = torch.arange(width, device=rows.device)
        padding = steps >= lengths.unsqueeze(1)  # (B, T)

        # (B, T) places in the flat tensors; padding reads place 0 and is then set to 0.
        places = (starts.unsqueeze(1) + steps).masked_fill_(padding, 0)
        token_ids = self.token_ids[places].masked_fill_(padding, 0).long()
        pos_ids = None if self.pos_ids is None else self.pos_ids[places].masked_fill_(padding, 0).long()
        char_ids = None if self.spellings is None else self.spellings[token_ids].long()  # (B, T, C)
        return Batch(token_ids, pos_ids, lengths, char_ids)


def _not_empty(flat: np.ndarray) -> np.ndarray:
    return flat if len(flat) else np.zeros(1, flat.dtype)


def _on(device: torch.device, array: np.ndarray) -> Tensor:
    # torch.from_numpy warns of arrays that cannot be written to.
    if not array.flags.writeable:
        array = array.copy()
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
