"""The batch itself, gathered on the device from the flat split."""

import numpy as np
import torch
from torch import Tensor

from textlstm.models.batch import Batch
from textlstm.training.encoding import EncodedSplit


class DeviceSplit:
    """A split whose tokens lie on the device as one flat tensor; batches are gathered there."""

    def __init__(self, split: EncodedSplit, device: torch.device) -> None:
        """Copy the arrays of `split` to `device` (on the CPU they are shared, not copied)."""
        self.lengths = split.lengths
        """(N,) int64, numpy, on the host: the plan of batches needs it there."""
        flat = split.token_ids if len(split.token_ids) else np.zeros(1, np.int32)
        self.token_ids = _on(device, flat)
        self.starts = _on(device, split.offsets[:-1])
        self.row_lengths = _on(device, self.lengths)
        self.pos_ids = None if split.pos_ids is None else _on(device, _not_empty(split.pos_ids))
        self.spellings = None if split.spellings is None else _on(device, split.spellings)
        self.targets = _on(device, split.targets)

    def batch(self, rows: Tensor, *, width: int) -> Batch:
        """Return the batch of (B,) int64 `rows`, padded to `width` tokens; nothing waits for the device."""
        lengths = self.row_lengths[rows]
        steps = torch.arange(width, device=rows.device)
        inside = steps < lengths.unsqueeze(1)  # (B, T)
        places = (self.starts[rows].unsqueeze(1) + steps).masked_fill_(~inside, 0)
        token_ids = self.token_ids[places].masked_fill_(~inside, 0).long()
        pos_ids = None if self.pos_ids is None else self.pos_ids[places].masked_fill_(~inside, 0).long()
        char_ids = None if self.spellings is None else self.spellings[token_ids].long()
        return Batch(token_ids, pos_ids, lengths, char_ids)


def _not_empty(flat: np.ndarray) -> np.ndarray:
    return flat if len(flat) else np.zeros(1, flat.dtype)


def _on(device: torch.device, array: np.ndarray) -> Tensor:
    if not array.flags.writeable:
        array = array.copy()
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
