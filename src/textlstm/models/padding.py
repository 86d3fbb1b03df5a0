"""Right-padded rows: their mask, and their reversal, each by its own length."""

import torch
from torch import Tensor


def padding_mask(lengths: Tensor, num_steps: int) -> Tensor:
    """Return (B, T) bool, True where a step holds a token: lengths [2, 0] and 3 steps give [[1, 1, 0], [0, 0, 0]]."""
    return torch.arange(num_steps, device=lengths.device) < lengths.unsqueeze(1)


def reversal_index(lengths: Tensor, num_steps: int) -> Tensor:
    """Return (B * T,) int64: which of the flattened B * T steps stands where after each row is reversed.

    Padding stays where it is, so the index is its own inverse: lengths [3, 1] and 4 steps give
    [2, 1, 0, 3,  4, 5, 6, 7].
    """
    steps = torch.arange(num_steps, device=lengths.device)
    column = lengths.unsqueeze(1)
    source = torch.where(steps < column, column - 1 - steps, steps)
    rows = torch.arange(lengths.shape[0], device=lengths.device).unsqueeze(1)
    return (source + rows * num_steps).reshape(-1)


class _Permute(torch.autograd.Function):
    """Reorder rows by an index that is its own inverse: the gradient is the same cheap reordering, no scatter."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, rows: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        return rows.index_select(0, index)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return _Permute.apply(gradient, index), None  # type: ignore[no-untyped-call]


def reverse_padded(states: Tensor, index: Tensor) -> Tensor:
    """Reverse each row of (B, T, E) `states` by its own length; `index` is `reversal_index` of the lengths."""
    flat = states.reshape(-1, states.shape[-1])
    if flat.requires_grad and torch.is_grad_enabled():
        permuted: Tensor = _Permute.apply(flat, index)  # type: ignore[no-untyped-call]
    else:
        permuted = flat.index_select(0, index)
    return permuted.view(states.shape)
