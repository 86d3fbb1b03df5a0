"""Layers of the pretended device: autocast, dropout and cuDNN's recurrent layers; see `pretended_cuda.py`."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from pretended_graphs import Recording
from pretended_tensors import (
    CPU,
    LAYERS,
    Device,
    MixedDevices,
    PretendedTensor,
    as_tf32,
    aten,
    note_work,
    own_work,
    pretended,
    project_line,
    real,
    refuse_other_card,
    without_functions,
)
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map


class Functions(TorchFunctionMode):
    """Functions whose C++ part would ask CUDA itself, and autocast, whose C++ part sees the device of the body."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if func is Tensor.to:
            return _to(*args, **kwargs)
        if func is torch.tensor and kwargs.get("device") is not None and torch.device(kwargs["device"]).type == "cuda":
            Device.ledger.wait("copy from pageable memory")
            return pretended(torch.tensor(*args, **{**kwargs, "device": "cpu"}))
        if not any(isinstance(item, PretendedTensor) for item in tree_leaves((args, kwargs))):
            return func(*args, **kwargs)
        if func in LAYERS:
            return LAYERS[func](name, *args, **kwargs)
        if func is torch.nn.functional.dropout:
            return _dropout(*args, **kwargs)
        if torch.is_autocast_enabled("cuda"):
            args, kwargs = _autocast(name, args, kwargs)
        return func(*args, **kwargs)


def _to(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    with without_functions():
        if args and isinstance(args[0], Tensor):
            device, dtype, non_blocking = args[0].device, args[0].dtype, False
        else:
            device, dtype, non_blocking, _ = torch._C._nn._parse_to(*args, **kwargs)
        refuse_other_card(device)
        is_here = isinstance(tensor, PretendedTensor)
        if not is_here and device is not None and device.type == "meta":
            return tensor.to(*args, **kwargs)
        goes_there = is_here if device is None else device.type in ("cuda", "meta")
        if goes_there == is_here:
            return tensor if dtype in (None, tensor.dtype) else aten._to_copy.default(tensor, dtype=dtype)
        target = Device.cuda if goes_there else CPU
        return aten._to_copy.default(tensor, dtype=dtype, device=target, non_blocking=non_blocking)


def _dropout(values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """One fused kernel, as on a GPU."""
    return torch.native_dropout(values, p, True)[0] if training and 0 < p < 1 and values.numel() else values


_TO_LOWER = re.compile(
    "conv[123]d|convolution|prelu|addmm|addmv|addr|matmul|__r?matmul__|einsum|mm|mv|linear|addbmm|baddbmm|bmm"
    "|chain_matmul|scaled_dot_product_attention"
)
_TO_FLOAT32 = re.compile(
    "acos|asin|cosh|erfinv|exp|expm1|log|log10|log2|log1p|reciprocal|rsqrt|sinh|tan|pow|__pow__|softplus|layer_norm"
    "|group_norm|cosine_similarity|nll_loss|kl_div|l1_loss|smooth_l1_loss|mse_loss|binary_cross_entropy_with_logits"
    "|logsumexp|prod|softmax|log_softmax|cumprod|cumsum|sum|norm|vector_norm|linalg_vector_norm|dist|cdist"
)
_TO_WIDEST = re.compile("addcdiv|addcmul|atan2|bilinear|cross|dot|index_put|tensordot|scatter_add")


def _autocast(name: str, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """Return the arguments as autocast would cast them."""
    is_wide = any(isinstance(item, Tensor) and item.dtype == torch.float32 for item in tree_leaves((args, kwargs)))
    is_float32 = _TO_FLOAT32.fullmatch(name) and kwargs.get("dtype") is None
    is_widest = _TO_WIDEST.fullmatch(name) and is_wide and "out" not in kwargs
    if _TO_LOWER.fullmatch(name):
        dtype = torch.get_autocast_dtype("cuda")
    elif is_float32 or is_widest:
        dtype = torch.float32
    else:
        return args, kwargs
    kinds = {torch.float32, torch.bfloat16, torch.float16} - {dtype}

    def cast(item: Any) -> Any:
        return item.to(dtype) if isinstance(item, PretendedTensor) and item.dtype in kinds else item

    return tree_map(cast, args), tree_map(cast, kwargs)


# cuDNN's recurrent layers.


def recurrent_layer(kind: str, inputs: Tensor, hx: Any, weights: Sequence[Tensor], *options: Any) -> Any:
    """Stand in for `_cudnn_rnn`; under autocast all tensors are cast first (`cudnn/AutocastRNN.cpp`)."""
    states = tuple(hx) if kind == "lstm" else (hx,)
    piece = "one piece" if lie_in_one_piece(weights) else "SEVERAL PIECES, compacted at each call"
    if torch.is_autocast_enabled("cuda"):
        dtype = torch.get_autocast_dtype("cuda")
        inputs, states = inputs.to(dtype), tuple(state.to(dtype) for state in states)
        weights = [weight.to(dtype) for weight in weights]
    Device.ledger.recurrent[f"{kind} {inputs.dtype} weights in {piece}"] += 1
    Device.ledger.launch("_cudnn_rnn")
    return _Recurrent.apply(kind, options, len(states), inputs, *states, *weights)


def lie_in_one_piece(weights: Sequence[Tensor]) -> bool:
    """Whether cuDNN takes the weights as they lie: one after the other from the start of a storage of their own."""
    place = 0
    with without_functions():
        storage = weights[0].untyped_storage()._cdata
        for weight in weights:
            is_next = weight.untyped_storage()._cdata == storage and weight.storage_offset() == place
            if not is_next or not weight.is_contiguous():
                return False
            place += weight.numel()
    return True


class _Recurrent(torch.autograd.Function):
    """The CPU's layer in float32, with a graph of its own for the backward pass."""

    @staticmethod
    def forward(ctx: Any, kind: str, options: Any, num_states: int, *given: Tensor) -> tuple[Tensor, ...]:
        for tensor in given:
            if not isinstance(tensor, PretendedTensor):
                raise MixedDevices(f"{kind} with a CPU tensor {tuple(tensor.shape)} at {project_line()}")
        dtypes = {tensor.dtype for tensor in given}
        if len(dtypes) > 1:
            raise RuntimeError(f"cuDNN's {kind} with tensors of {dtypes} at {project_line()}")
        function = {"lstm": torch.lstm, "gru": torch.gru, "rnn_tanh": torch.rnn_tanh}[kind]
        is_rounded = dtypes == {torch.float32} and torch.backends.cudnn.rnn.fp32_precision == "tf32"
        sources = [(real(tensor), tensor.requires_grad) for tensor in given]

        def run() -> tuple[Tensor, ...]:
            """Compute from what lies at the addresses now; the graph for the backward pass is a new one."""
            leaves = [tensor.float().detach().clone() for tensor, _ in sources]
            if is_rounded:
                leaves = [as_tf32(leaf) for leaf in leaves]
            leaves = [leaf.requires_grad_(wanted) for leaf, (_, wanted) in zip(leaves, sources, strict=True)]
            states, weights = leaves[1 : 1 + num_states], leaves[1 + num_states :]
            with torch.enable_grad(), own_work(), torch.autocast("cuda", enabled=False):
                ctx.outputs = function(leaves[0], states if kind == "lstm" else states[0], weights, *options)
            ctx.leaves = leaves
            return tuple(output.detach().to(ctx.dtype) for output in ctx.outputs)

        ctx.dtype = given[0].dtype
        made = tuple(pretended(output) for output in _run_recurrent(run))
        note_work(kind, given, written=[], results=made)
        ctx.save_for_backward(*given, *made)  # as cuDNN does: so long is their memory in use
        ctx.has_backward = options[3] or not torch.backends.cudnn.enabled
        ctx.set_materialize_grads(False)
        return made

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        if not ctx.has_backward:
            raise RuntimeError("cudnn RNN backward can only be called in training mode")
        Device.ledger.launch("_cudnn_rnn_backward")
        sources = [None if gradient is None else real(gradient) for gradient in gradients]

        def run() -> tuple[Tensor, ...]:
            wanted = [leaf for leaf in ctx.leaves if leaf.requires_grad]
            pairs = zip(sources, ctx.outputs, strict=True)
            given = [torch.zeros_like(output) if source is None else source.float() for source, output in pairs]
            with torch.enable_grad(), own_work():
                return tuple(
                    found.to(ctx.dtype) for found in torch.autograd.grad(ctx.outputs, wanted, given, retain_graph=True)
                )

        found = [pretended(gradient) for gradient in _run_recurrent(run)]
        used = [gradient for gradient in gradients if isinstance(gradient, PretendedTensor)]
        note_work("the backward pass of a cell", [*used, *ctx.saved_tensors], written=[], results=found)
        left = iter(found)
        return None, None, None, *(next(left) if x.requires_grad else None for x in ctx.leaves)


def _run_recurrent(run: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Run a recurrent layer or its backward pass, and record it where a graph is captured."""
    made = run()
    if Recording.active is not None:

        def again() -> None:
            for place, value in zip(made, run(), strict=True):
                place.copy_(value)

        Recording.active.add(again)
    return made


LAYERS |= dict.fromkeys(
    (torch._VF.lstm, torch._VF.gru, torch._VF.rnn_tanh, torch.lstm, torch.gru, torch.rnn_tanh), recurrent_layer
)
