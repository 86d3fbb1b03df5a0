"""Pooling: from the states of all time steps to one vector for each text, without padding.

Dimensions: B texts, T time steps, M last time steps, H units of a direction, P features after pooling.
"""

from functools import partial
from typing import NamedTuple, assert_never

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from textlstm.config import Pooling
from textlstm.models.network.encoders import Encoded, padding_mask
from textlstm.models.network.parallel import Layer, both_layers

# Maximum and mean over the tokens of a text, with a gradient that reads memory only a few times.


class TokenMask(NamedTuple):
    """Which of the T steps of B texts are tokens, in the forms that pooling needs.

    The first T - M steps are tokens of every text, so only the last M steps have masks. In a batch of texts of similar
    length, M is small.
    """

    inside: Tensor
    """(M, B, 1) 1 for tokens, 0 for padding, in the dtype of the states: products are faster than bool fills."""
    lowest: Tensor
    """(M, B, 1) 0 for tokens, the least number of the dtype for padding."""
    has_tokens: Tensor
    """(B, 1) bool."""
    num_tokens: Tensor
    """(B, 1) int64 number of tokens of a text, 1 for a text without any."""

    @classmethod
    def of(cls, lengths: Tensor, states: Tensor) -> "TokenMask":
        """Return the mask of the first `lengths` steps of (T, B, H) `states`.

        On a GPU, M = T: reading the shortest length would wait for the device.
        """
        num_full = int(lengths.min()) if states.device.type == "cpu" and len(lengths) else 0
        inside = torch.arange(num_full, states.shape[0], device=states.device).unsqueeze(1) < lengths
        inside = inside.unsqueeze(-1).to(states.dtype)
        lowest = (1 - inside) * torch.finfo(states.dtype).min
        lengths = lengths.unsqueeze(1)
        return cls(inside, lowest, lengths > 0, lengths.clamp(min=1))


def masked_max_mean(states: Tensor, mask: TokenMask) -> Tensor:
    """Return (2, B, H) the maximum and the mean of the tokens of (T, B, H) `states`; 0 for a text without tokens.

    Both have the dtype of the states; the mean is summed in float32 or better.
    """
    pooled: Tensor = _MaxMean.apply(states, *mask)  # type: ignore[no-untyped-call]
    return pooled


class _MaxMean(torch.autograd.Function):
    """Maximum and mean; autograd's own max stores int64 indices: on a CPU 10 times the time of the maximum."""

    @staticmethod
    def forward(ctx: FunctionCtx, states: Tensor, *mask: Tensor) -> Tensor:
        inside, lowest, has_tokens, num_tokens = mask
        full, ends = states.tensor_split((len(states) - len(inside),))  # (T - M, B, H) without padding, (M, B, H)
        shown = ends + lowest
        parts = [part.amax(dim=0) for part in (full, shown) if len(part)]
        highest = parts[0] if len(parts) == 1 else torch.maximum(*parts)
        wide = torch.promote_types(states.dtype, torch.float32)
        total = full.sum(dim=0, dtype=wide) + (ends * inside).sum(dim=0, dtype=wide)
        ctx.save_for_backward(states, shown, highest, inside, has_tokens, num_tokens)
        return torch.stack([highest * has_tokens, (total / num_tokens).to(states.dtype)])

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        states, shown, highest, inside, has_tokens, num_tokens = ctx.saved_tensors  # type: ignore[attr-defined]
        # (T, B, H): 1 at the maximum, else 0. If several steps tie, they share the gradient.
        hit = torch.empty_like(states)
        places = (len(states) - len(inside),)
        (full, _), (hit_full, hit_ends) = states.tensor_split(places), hit.tensor_split(places)
        torch.eq(full, highest, out=hit_full)
        torch.eq(shown, highest, out=hit_ends)

        # hit * share + even, with `even` for tokens only, written over `hit`.
        share = gradient[0] * has_tokens / hit.sum(dim=0)
        even = (gradient[1] / num_tokens).to(states.dtype)
        torch.addcmul(even, hit_full, share, out=hit_full)
        hit_ends.mul_(share).addcmul_(inside, even)
        return hit, None, None, None, None


class _MaxMeanOnGpu(torch.autograd.Function):
    """Maximum and mean of all directions at once, in as few kernels as possible."""

    @staticmethod
    def forward(ctx: FunctionCtx, lengths: Tensor, *directions: Tensor) -> Tensor:
        """Return (B, 2 * D * H) float32: the maxima of D directions, then the means, from (T, B, H) states each."""
        states = torch.stack(directions)  # (D, T, B, H)
        steps = torch.arange(states.shape[1], device=states.device)
        padding = (steps.unsqueeze(1) >= lengths).unsqueeze(-1)  # (T, B, 1)
        shown = states.masked_fill(padding, torch.finfo(states.dtype).min)
        num_tokens = lengths.clamp(min=1).unsqueeze(1)
        highest = shown.amax(dim=1).masked_fill_((lengths == 0).unsqueeze(1), 0)  # (D, B, H)
        mean = states.masked_fill(padding, 0).sum(dim=1, dtype=torch.float32) / num_tokens
        ctx.save_for_backward(shown, highest, padding, num_tokens)
        pooled = torch.stack([highest.float(), mean])  # (2, D, B, H)
        return pooled.permute(2, 0, 1, 3).reshape(len(lengths), -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        shown, highest, padding, num_tokens = ctx.saved_tensors  # type: ignore[attr-defined]
        num_directions, _, num_texts, size = shown.shape
        # (B, 2 * D * H) become (2, D, B, H) again, the layout before the reshape in `forward`.
        parts = gradient.to(shown.dtype).view(num_texts, 2, num_directions, size).permute(1, 2, 0, 3)
        # Steps that tie for the maximum share its gradient; a text without tokens has no such step.
        hit = shown == highest.unsqueeze(1)
        share = parts[0] / hit.sum(dim=1).clamp(min=1)  # (D, B, H)
        even = (parts[1] / num_tokens).unsqueeze(1)
        found = torch.where(hit, share.unsqueeze(1) + even, even).masked_fill_(padding, 0)
        return None, *found


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
                # (B, T, P) states are weighted and summed to (B, P).
                return (states * self.attention(states, encoded.lengths)).sum(dim=1)
            case Pooling.max | Pooling.mean | Pooling.max_mean:
                # The order of steps does not matter here, so the backward states are not reversed.
                if encoded.lengths.is_cuda:
                    both: Tensor = _MaxMeanOnGpu.apply(encoded.lengths, *encoded.directions)  # type: ignore[no-untyped-call]
                    highest_part, mean_part = both.chunk(2, dim=1)
                    chosen = {Pooling.max: highest_part, Pooling.mean: mean_part, Pooling.max_mean: both}
                    return chosen[self.pooling]
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
        # The softmax leaves padding a weight of zero only beside tokens; the mask at the end serves texts without
        # tokens.
        scores = self.score(torch.tanh(self.project(states))).float()
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        return torch.softmax(scores, dim=1) * mask


def _max_mean(encoded: Encoded) -> tuple[Tensor, ...]:
    """Return for each direction (2, B, H): the maximum and the mean over time."""
    pool = partial(masked_max_mean, mask=TokenMask.of(encoded.lengths, encoded.forward_states))
    if encoded.backward_states is None:
        return (pool(encoded.forward_states),)
    return both_layers(Layer(pool, (encoded.forward_states,)), Layer(pool, (encoded.backward_states,)))
