"""Right-padded rows: their mask, and their reversal, each by its own length."""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx


def padding_mask(lengths: Tensor, num_steps: int) -> Tensor:
    """Return (B, T) bool, True where a step holds a token: lengths [2, 0] and 3 steps give [[1, 1, 0], [0, 0, 0]]."""
    return torch.arange(num_steps, device=lengths.device) < lengths.unsqueeze(1)


def reversal_index(lengths: Tensor, num_steps: int) -> Tensor:
    """Return (T * B,) int64: which of the T * B vectors, steps first, stands where after each text is reversed.

    Padding stays where it is, so the index is its own inverse. Lengths [3, 1] and 4 steps: text 0 has its vectors at
    0, 2, 4 (and padding at 6), text 1 at 1 (and padding at 3, 5, 7), so the index is [4, 1, 2, 3, 0, 5, 6, 7].
    """
    steps = torch.arange(num_steps, device=lengths.device).unsqueeze(1)
    source = torch.where(steps < lengths, lengths - 1 - steps, steps)  # (T, B)
    num_texts = lengths.shape[0]
    return (source * num_texts + torch.arange(num_texts, device=lengths.device)).reshape(-1)


class _Permute(torch.autograd.Function):
    """Reorder rows by an index that is its own inverse: the gradient is the same cheap reordering, no scatter."""

    @staticmethod
    def forward(ctx: FunctionCtx, rows: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        return rows.index_select(0, index)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return _Permute.apply(gradient, index), None  # type: ignore[no-untyped-call]


def reverse_padded(states: Tensor, index: Tensor) -> Tensor:
    """Reverse each text of (T, B, E) `states` by its own length; `index` is `reversal_index` of the lengths."""
    flat = states.reshape(-1, states.shape[-1])
    if flat.requires_grad and torch.is_grad_enabled():
        permuted: Tensor = _Permute.apply(flat, index)  # type: ignore[no-untyped-call]
    else:
        permuted = flat.index_select(0, index)
    return permuted.view(states.shape)
