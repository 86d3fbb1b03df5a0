"""From the states of all time steps to one vector a text; padding never takes part."""

from typing import assert_never

import torch
from torch import Tensor, nn

from textlstm.config import Pooling
from textlstm.models.encoders import Encoded
from textlstm.models.masked import masked_max_mean
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
        """Return (B, P) pooled states; with max_mean the maxima of all features come first, then the means."""
        match self.pooling:
            case Pooling.last:
                return encoded.last
            case Pooling.attention:
                states = encoded.states
                return (states * self.attention(states, encoded.lengths)).sum(dim=1)
            case Pooling.max | Pooling.mean | Pooling.max_mean:
                # The order of steps does not matter here, so the backward states need not be turned round.
                pooled = [masked_max_mean(states, encoded.lengths) for states in encoded.directions]
                highest, mean = [part.max for part in pooled], [part.mean for part in pooled]
                parts = {Pooling.max: highest, Pooling.mean: mean, Pooling.max_mean: highest + mean}
                return torch.cat(parts[self.pooling], dim=1)
            case _:
                assert_never(self.pooling)

    def attention(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Return (B, T, 1) weights that sum to 1 over a text's tokens (all 0 without tokens), Yang et al. 2016.

        Raises:
            TypeError: the pooling is not `attention`.
        """
        if self.project is None or self.score is None:
            raise TypeError(f"pooling {self.pooling} has no attention weights")
        mask = padding_mask(lengths, states.shape[1]).unsqueeze(-1)
        scores = self.score(torch.tanh(self.project(states))).float()
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        return torch.softmax(scores, dim=1) * mask
