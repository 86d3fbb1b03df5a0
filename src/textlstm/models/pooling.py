"""From the states of all time steps to one vector a text; padding never takes part."""

from typing import assert_never

import torch
from torch import Tensor, nn

from textlstm.config import Pooling
from textlstm.models.encoders import Encoded
from textlstm.models.padding import padding_mask


class Pool(nn.Module):
    """Masked pooling over time; a text without tokens pools to zeros."""

    def __init__(self, pooling: Pooling, size: int) -> None:
        """Pool states of `size` features."""
        super().__init__()
        self.pooling = pooling
        self.output_size = 2 * size if pooling is Pooling.max_mean else size
        self.project = nn.Linear(size, size) if pooling is Pooling.attention else None
        self.score = nn.Linear(size, 1, bias=False) if pooling is Pooling.attention else None

    def forward(self, encoded: Encoded) -> Tensor:
        """Return (B, P) pooled states."""
        mask = padding_mask(encoded.lengths, encoded.states.shape[1]).unsqueeze(-1)  # (B, T, 1)
        match self.pooling:
            case Pooling.last:
                return encoded.last
            case Pooling.mean:
                return _mean(encoded, mask)
            case Pooling.max:
                return _max(encoded, mask)
            case Pooling.max_mean:
                return torch.cat([_max(encoded, mask), _mean(encoded, mask)], dim=1)
            case Pooling.attention:
                return (encoded.states * self.attention(encoded)).sum(dim=1)
            case _:
                assert_never(self.pooling)

    def attention(self, encoded: Encoded) -> Tensor:
        """Return (B, T, 1) weights that sum to 1 over a text's tokens (all 0 without tokens), Yang et al. 2016.

        Raises:
            TypeError: the pooling is not `attention`.
        """
        if self.project is None or self.score is None:
            raise TypeError(f"pooling {self.pooling} has no attention weights")
        mask = padding_mask(encoded.lengths, encoded.states.shape[1]).unsqueeze(-1)
        scores = self.score(torch.tanh(self.project(encoded.states))).float()
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        return torch.softmax(scores, dim=1) * mask


def _mean(encoded: Encoded, mask: Tensor) -> Tensor:
    total = (encoded.states * mask).sum(dim=1, dtype=torch.float32)
    return total / encoded.lengths.clamp(min=1).unsqueeze(1)


def _max(encoded: Encoded, mask: Tensor) -> Tensor:
    lowest = torch.finfo(encoded.states.dtype).min
    highest = encoded.states.masked_fill(~mask, lowest).max(dim=1).values
    return highest * (encoded.lengths > 0).unsqueeze(1)
