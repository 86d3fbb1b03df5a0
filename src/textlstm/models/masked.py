"""Maximum and mean over the tokens of a text, padding left out, with a gradient of few passes over memory."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx


class MaxMean(NamedTuple):
    """Two ways to pool over time; both zero for a text without tokens."""

    max: Tensor
    """(B, H), of the dtype of the states."""
    mean: Tensor
    """(B, H), of the dtype of the states, summed in float32 or better."""


def masked_max_mean(states: Tensor, lengths: Tensor) -> MaxMean:
    """Return the maximum and the mean of the first `lengths` steps of (T, B, H) `states`."""
    return MaxMean(*_MaxMean.apply(states, lengths))  # type: ignore[no-untyped-call]


class _MaxMean(torch.autograd.Function):
    """Autograd's own max keeps int64 indices, which takes 10 times as long as the maximum itself on a CPU."""

    @staticmethod
    def forward(ctx: FunctionCtx, states: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        inside = torch.arange(states.shape[0], device=states.device).unsqueeze(1) < lengths
        mask = inside.unsqueeze(-1).to(states.dtype)  # (T, B, 1); sums with it are faster than fills by a bool mask
        shown = states + (1 - mask) * torch.finfo(states.dtype).min
        has_tokens = (lengths > 0).unsqueeze(1)
        highest = shown.amax(dim=0)
        count = lengths.clamp(min=1).unsqueeze(1)
        mean = ((states * mask).sum(dim=0, dtype=torch.promote_types(states.dtype, torch.float32)) / count).to(
            states.dtype
        )
        ctx.save_for_backward(shown, highest, mask, lengths)
        return highest * has_tokens, mean

    @staticmethod
    def backward(ctx: FunctionCtx, max_gradient: Tensor, mean_gradient: Tensor) -> tuple[Tensor, None]:
        shown, highest, mask, lengths = ctx.saved_tensors  # type: ignore[attr-defined]
        hit = torch.eq(shown, highest, out=torch.empty_like(shown))  # several steps may tie: they share the gradient
        share = max_gradient * (lengths > 0).unsqueeze(1) / hit.sum(dim=0)
        even = (mean_gradient / lengths.clamp(min=1).unsqueeze(1)).to(shown.dtype)
        return hit.mul_(share).addcmul_(mask, even), None
