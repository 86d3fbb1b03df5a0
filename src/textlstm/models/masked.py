"""Maximum and mean over the tokens of a text, padding left out, with a gradient of few passes over memory."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx


class TokenMask(NamedTuple):
    """Which of the T steps of B texts are tokens, in the forms that pooling wants.

    The first steps are tokens of all texts, and most steps are where the texts of a batch are about equally long; masks
    of the last M steps will do.
    """

    inside: Tensor
    """(M, B, 1) 1 where a step is a token, else 0, of the dtype of the states: products are faster than bool fills."""
    lowest: Tensor
    """(M, B, 1) the least number of the dtype where a step is padding, else 0."""
    has_tokens: Tensor
    """(B, 1) bool."""
    num_tokens: Tensor
    """(B, 1) int64 tokens of a text, 1 for a text without any."""

    @classmethod
    def of(cls, lengths: Tensor, states: Tensor) -> "TokenMask":
        """Return the mask of the first `lengths` steps of (T, B, H) `states`.

        On a GPU, which is not to be waited for, M = T.
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
    """Autograd's own max keeps int64 indices, which takes 10 times as long as the maximum itself on a CPU."""

    @staticmethod
    def forward(ctx: FunctionCtx, states: Tensor, *mask: Tensor) -> Tensor:
        inside, lowest, has_tokens, num_tokens = mask
        full, ends = states.tensor_split((len(states) - len(inside),))
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
        hit = torch.empty_like(states)  # 1 at the maximum; several steps may tie: they share the gradient
        places = (len(states) - len(inside),)
        (full, _), (hit_full, hit_ends) = states.tensor_split(places), hit.tensor_split(places)
        torch.eq(full, highest, out=hit_full)
        torch.eq(shown, highest, out=hit_ends)
        share = gradient[0] * has_tokens / hit.sum(dim=0)
        even = (gradient[1] / num_tokens).to(states.dtype)
        torch.addcmul(even, hit_full, share, out=hit_full)
        hit_ends.mul_(share).addcmul_(inside, even)
        return hit, None, None, None, None
