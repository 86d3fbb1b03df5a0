"""Tensors that lie one after the other in memory, as cuDNN wants the weights of a recurrent cell.

cuDNN takes the four weights of a cell (see `CellWeights`) as one array. torch compacts them at each call, with a copy a
weight, unless they are the start of a storage of their own, in order and without gaps.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable


def as_one_piece(tensors: Sequence[Tensor]) -> Tensor | None:
    """Return the (P,) view of the P numbers of contiguous tensors that lie in order and without gaps, else None."""
    place = tensors[0].storage_offset()
    address = tensors[0].untyped_storage()._cdata
    for tensor in tensors:
        is_next = tensor.storage_offset() == place and tensor.untyped_storage()._cdata == address
        if not is_next or not tensor.is_contiguous():
            return None
        place += tensor.numel()
    return tensors[0].detach().as_strided((place - tensors[0].storage_offset(),), (1,))


def split_as(piece: Tensor, shapes: Sequence[torch.Size]) -> list[Tensor]:
    """Return views of the (P,) `piece` with these shapes, which have P numbers together."""
    parts = torch.split(piece, [shape.numel() for shape in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]


def compacted(weights: Sequence[Tensor], dtype: torch.dtype) -> Sequence[Tensor]:
    """Return the weights in `dtype`, in one piece at the start of a storage; unchanged if they lie so already.

    It takes one or two kernels a cell, forward and backward, where autocast casts each weight at each call.
    """
    piece = as_one_piece(weights)
    if piece is not None and piece.dtype == dtype and weights[0].storage_offset() == 0:
        return weights
    made: Sequence[Tensor] = _Compact.apply(dtype, *weights)  # type: ignore[no-untyped-call]
    return made


class _Compact(torch.autograd.Function):
    """Cast all weights of a cell at once, and their gradients back at once."""

    @staticmethod
    def forward(ctx: FunctionCtx, dtype: torch.dtype, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.dtype, ctx.shapes = weights[0].dtype, [weight.shape for weight in weights]  # type: ignore[attr-defined]
        piece = as_one_piece(weights)
        if piece is None or piece.dtype == dtype:  # a copy, for they do not lie as they should
            piece = torch.cat([weight.detach().reshape(-1) for weight in weights])
        return tuple(split_as(piece.to(dtype), ctx.shapes))  # type: ignore[attr-defined]

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        piece = as_one_piece(gradients)
        if piece is None:
            piece = torch.cat([gradient.reshape(-1) for gradient in gradients])
        return None, *split_as(piece.to(ctx.dtype), ctx.shapes)  # type: ignore[attr-defined]
