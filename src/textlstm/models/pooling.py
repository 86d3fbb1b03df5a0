"""From the states of all time steps to one vector a text; padding never takes part."""

from functools import partial
from typing import assert_never

import torch
from torch import Tensor, nn

from textlstm.config import Pooling
from textlstm.models.encoders import Encoded
from textlstm.models.lanes import Layer, both_layers
from textlstm.models.masked import TokenMask, masked_max_mean
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
                pooled = _max_mean(encoded)
                highest, mean = [part[0] for part in pooled], [part[1] for part in pooled]
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


def _max_mean(encoded: Encoded) -> tuple[Tensor, ...]:
    """Return (2, B, H) the maximum and the mean over time of each direction."""
    pool = partial(masked_max_mean, mask=TokenMask.of(encoded.lengths, encoded.ahead))
    if encoded.behind is None:
        return (pool(encoded.ahead),)
    return both_layers(Layer(pool, (encoded.ahead,)), Layer(pool, (encoded.behind,)))
