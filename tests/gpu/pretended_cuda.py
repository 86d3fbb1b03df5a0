"""A CUDA device that is pretended on a machine without one: real numbers in CPU memory, tensors that say `cuda:0`.

A process may be given another of several cards, as `choose_device` gives them out; its tensors say `cuda:1` then.

torch's own fake tensors cannot do it: on a build without CUDA the first autograd node of a fake CUDA tensor ends the
process. Here a tensor subclass has a meta body with CUDA's dispatch keys, so that autograd, autocast and Python take
the paths of a GPU, and its numbers lie in a CPU storage that belongs to the meta storage. Each operation is checked, counted and
then done on the CPU:

* a CPU tensor (but for numbers without dimensions) beside a CUDA tensor raises `MixedDevices`, as CUDA would raise;
* whatever lets the host wait for the device (`item`, `nonzero`, copies from and to the host) is noted with the line of
  the project that asked for it;
* operations that launch a kernel are counted, views and allocations are not;
* what one stream reads while another may still write it, and memory that is given out too early, is noted as a race
  (`pretended_streams.py`);
* recurrent layers go through a stand-in for cuDNN that notes whether their weights lie as cuDNN wants them, and rounds
  float32 to TF32 wherever torch's settings would let cuDNN and cuBLAS do so.

What this cannot show: kernels, memory, speed, NCCL. Autocast is a copy of ATen's lists (`autocast_mode.h`).
"""

import contextlib
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import torch
from pretended_graphs import PretendedGraph, Recording, captured, refuse_in_capture
from pretended_streams import Block, Work
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

CPU = torch.device("cpu")
aten = torch.ops.aten
without_functions = torch._C.DisableTorchFunctionSubclass


class MixedDevices(RuntimeError):
    """A CPU tensor and a CUDA tensor met in one operation."""


@dataclass
class Ledger:
    """What the device was asked to do."""

    launches: Counter[str] = field(default_factory=Counter)
    """Kernels by name of the operation."""
    lines: Counter[str] = field(default_factory=Counter)
    """Kernels by line of the project; those of the backward pass have none."""
    waits: Counter[str] = field(default_factory=Counter)
    """Operations for which the host waits, with the line of the project."""
    recurrent: Counter[str] = field(default_factory=Counter)
    """Recurrent calls: the layer, its number format, and whether its weights lie in one piece."""
    calls: Counter[str] = field(default_factory=Counter)
    """Functions of `torch.cuda`."""
    work: Work = field(default_factory=Work)
    """Streams, and races between them."""
    captures: int = 0
    """CUDA graphs that were captured; the replay of one is a launch."""

    def launch(self, name: str) -> None:
        if Recording.active is not None:
            return
        self.launches[name] += 1
        self.lines[project_line()] += 1

    def wait(self, what: str) -> None:
        refuse_in_capture(f"{what} at {project_line()}")
        self.work.current.synchronize()
        self.waits[f"{what} at {project_line()}"] += 1


class _Device:
    """The state of the pretended device; there is one, as autograd calls back without a context."""

    ledger = Ledger()
    cuda = torch.device("cuda:0")
    """The card of this process."""
    to_meta: dict[int, StorageWeakRef] = {}
    """The meta storage of each CPU storage, by the latter's address. The meta storage alone keeps the other alive, so
    both go with the last tensor, as on a device."""
    depth = 0
    """Of calls into torch with pretended tensors: there torch makes new tensors on the body's device, meta."""


def project_line() -> str:
    """Return the innermost line of the package that is running, as `training/loop.py:60 fit`."""
    frame = sys._getframe(1)
    while frame is not None:
        _, found, place = frame.f_code.co_filename.partition("src/textlstm/")
        if found:
            return f"{place}:{frame.f_lineno} {frame.f_code.co_name}"
        frame = frame.f_back
    return "no line (the backward pass, or a test)"


# Tensors.


class PretendedTensor(Tensor):
    """A tensor that is on `cuda:0` for everybody who asks."""

    @staticmethod
    def __new__(cls, body: Tensor) -> "PretendedTensor":
        return Tensor._make_subclass(cls, body, False, device_for_backend_keys=_Device.cuda)

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "__get__":
            asked = getattr(func, "__self__", None)
            answers = {id(Tensor.device): _Device.cuda, id(Tensor.is_cuda): True, id(Tensor.is_meta): False}
            if id(asked) in answers:
                return answers[id(asked)]
        if func in RECURRENT:
            return recurrent_layer(name, *args, **kwargs)
        if name == "tolist":
            _Device.ledger.wait("tolist")
            return real(args[0]).tolist()
        if name == "get_device":
            return _Device.cuda.index
        if name in ("numpy", "__array__"):
            raise TypeError(f"can't convert cuda:0 device type tensor to numpy, at {project_line()}")
        _Device.depth += 1
        try:
            with without_functions():
                return func(*args, **kwargs)
        finally:
            _Device.depth -= 1

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _dispatch(func, args, kwargs or {})

    def __repr__(self) -> str:
        return f"PretendedTensor({real(self)})"


@contextlib.contextmanager
def _own_work() -> Iterator[None]:
    """Work of this module: normal tensors, and meta means meta."""
    before, _Device.depth = _Device.depth, 0
    try:
        with without_functions(), torch.inference_mode(False):
            yield
    finally:
        _Device.depth = before


def real(tensor: Tensor) -> Tensor:
    """Return the CPU tensor behind a pretended one; they share their numbers."""
    with _own_work():
        if not isinstance(tensor, PretendedTensor) and tensor.device.type == "meta":  # zeros that autograd made
            return torch.zeros(tensor.shape, dtype=tensor.dtype)
        made = torch.empty(0, dtype=tensor.dtype)
        made.set_(_block(tensor).storage, tensor.storage_offset(), tensor.size(), tensor.stride())
    return made


def pretended(tensor: Tensor) -> PretendedTensor:
    """Return a pretended tensor over the numbers of a CPU tensor."""
    with _own_work():
        storage = tensor.untyped_storage()
        known = _Device.to_meta.get(storage._cdata)
        if known is None or known.expired():
            meta = torch.UntypedStorage(storage.nbytes(), device="meta")
            meta.block = Block(storage, _Device.ledger.work)
            _Device.to_meta[storage._cdata] = StorageWeakRef(meta)
        else:
            meta = torch.UntypedStorage._new_with_weak_ptr(known.cdata)
        body = torch.empty(0, dtype=tensor.dtype, device="meta")
        body.set_(meta, tensor.storage_offset(), tensor.size(), tensor.stride())
        return PretendedTensor(body)


def _block(tensor: Tensor) -> Block:
    """Return the memory of a pretended tensor."""
    return tensor.untyped_storage().block


def _note_work(what: str, tensors: Sequence[Tensor], *, written: Sequence[Tensor], results: Any) -> None:
    """Note an operation on its stream: what it reads, what it changes, and what it has made."""
    work = _Device.ledger.work
    if len(work.streams) == 1:
        return
    with _own_work():
        changed = [_block(one) for one in written]
        reads = [block for one in tensors if (block := _block(one)) not in changed]
        given = {*reads, *changed}
        made = [
            block
            for one in tree_leaves(results)
            if isinstance(one, PretendedTensor) and (block := _block(one)) not in given
        ]
        work.launch(what, project_line(), reads=reads, writes=changed, made=made)


# Operations.

_NO_KERNEL = {"_unsafe_view", "detach", "alias", "resize_", "set_", "lift_fresh", "is_same_size"}
_NO_KERNEL |= {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
_INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}


def _dispatch(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Check, count and do one operation."""
    name = func.overloadpacket.__name__
    flat, spec = tree_flatten((args, kwargs))
    tensors = [item for item in flat if isinstance(item, Tensor)]
    mine = [item for item in tensors if isinstance(item, PretendedTensor)]
    device = kwargs.get("device")
    if func is torch.ops.prim.device.default:
        return _Device.cuda if mine else args[0].device
    ours = ("cuda", "meta") if _Device.depth else ("cuda",)
    if not mine and (device is None or torch.device(device).type not in ours):
        return _on_host(func, args, dict(kwargs))
    _refuse_other_card(device)
    # In inference mode composite operations arrive whole; their parts are what a GPU would run.
    if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
        with _Dispatching():
            found = func.decompose(*args, **kwargs)
        if found is not NotImplemented:
            return found
    if name == "_to_copy":
        return _to_copy(func, args[0], dict(kwargs))
    if name == "copy_":
        return _copy(func, *args)
    _check(func, name, args, mine, [item for item in tensors if not isinstance(item, PretendedTensor)])
    if name not in _NO_KERNEL and not func.is_view:
        _Device.ledger.launch(name)

    def lowered(item: Any) -> Any:
        if isinstance(item, PretendedTensor):
            return real(item)
        return CPU if isinstance(item, torch.device) and item.type in ("cuda", "meta") else item

    real_args, real_kwargs = tree_unflatten([lowered(item) for item in flat], spec)
    real_kwargs.pop("pin_memory", None)
    rounded = name in ("mm", "addmm", "bmm", "baddbmm") and torch.backends.cuda.matmul.fp32_precision == "tf32"
    if rounded:
        real_args = tree_map(as_tf32, real_args)
    written, results = _lifted(func, _done(func, real_args, real_kwargs), args, kwargs)
    if name not in _NO_KERNEL and not func.is_view:
        _note_work(name, mine, written=written, results=results)
    return results


def _refuse_other_card(device: Any) -> None:
    asked = None if device is None else torch.device(device)
    if asked is not None and asked.type == "cuda" and asked.index not in (None, _Device.cuda.index):
        raise RuntimeError(f"{asked} in a process that has {_Device.cuda}, at {project_line()}")


def _done(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Do an operation on CPU tensors, or record it."""
    return func(*args, **kwargs) if Recording.active is None else Recording.active.do(func, args, kwargs)


def _on_host(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Do an operation of the CPU; a build without CUDA has no pinned memory, so it is only remembered."""
    is_pinned = kwargs.pop("pin_memory", False)
    found = func(*args, **kwargs)
    if is_pinned:
        found.untyped_storage().is_pinned_here = True
    return found


def _is_pinned(tensor: Tensor) -> bool:
    return getattr(tensor.untyped_storage(), "is_pinned_here", False)


def _check(func: Any, name: str, args: Any, mine: Sequence[Tensor], plain: Sequence[Tensor]) -> None:
    """Refuse mixed devices, and note what the host waits for."""
    for tensor in plain if mine else ():
        is_written = func._schema.is_mutable and tensor is args[0]
        if name in _INDEXING and isinstance(args[0], PretendedTensor) and not is_written:
            _Device.ledger.wait("index on the host")
        elif tensor.dim() or is_written:
            raise MixedDevices(f"{func} with a CPU tensor {tuple(tensor.shape)} at {project_line()}")
    tags = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
    is_index_by_mask = name in _INDEXING and any(
        isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8) for index in args[1]
    )
    if name in _INDEXING:
        if is_index_by_mask:
            _Device.ledger.wait("mask as index")
    elif tags & set(func.tags):
        _Device.ledger.wait(name)


def _to_copy(func: Any, source: Tensor, kwargs: dict[str, Any]) -> Tensor:
    """Convert, or copy between host and device."""
    target, non_blocking = kwargs.pop("device", None), kwargs.pop("non_blocking", False)
    if isinstance(source, PretendedTensor):
        if target is not None and torch.device(target).type == "cpu":
            _Device.ledger.wait("copy to the host")
            return func(real(source).clone(), **kwargs)
        _Device.ledger.launch("_to_copy")
        made = pretended(_done(func, (real(source),), kwargs))
        _note_work("_to_copy", [source], written=[], results=made)
        return made
    if not (non_blocking and _is_pinned(source)):
        _Device.ledger.wait("copy from pageable memory")
    made = func(source, **kwargs)
    is_same = made.untyped_storage()._cdata == source.untyped_storage()._cdata
    return pretended(made.clone() if is_same else made)


def _copy(func: Any, into: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    host = source if isinstance(into, PretendedTensor) else into
    is_pinned = not isinstance(host, PretendedTensor) and _is_pinned(host)
    if isinstance(into, PretendedTensor) == isinstance(source, PretendedTensor) or (is_pinned and non_blocking):
        _Device.ledger.launch("copy_")
    elif source.dim() or isinstance(source, PretendedTensor):  # a number travels with the launch
        _Device.ledger.wait("copy from pageable memory" if isinstance(into, PretendedTensor) else "copy to the host")
    mine = [one for one in (into, source) if isinstance(one, PretendedTensor)]
    _note_work("copy_", mine, written=[one for one in mine if one is into], results=None)
    if host is into and is_pinned and non_blocking:
        with _own_work(), torch.no_grad():
            _Device.ledger.work.copy_later(into, real(source))
        return into
    with torch.no_grad():
        _done(func, [real(one) if isinstance(one, PretendedTensor) else one for one in (into, source)], {})
    return into


def _lifted(func: Any, result: Any, args: Any, kwargs: dict[str, Any]) -> tuple[list[Tensor], Any]:
    """Return the tensors that were changed, and the result with pretended tensors.

    In-place and out= operations give back the tensors that they were given.
    """
    written: dict[Any, Tensor] = {}
    for number, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = args[number] if number < len(args) and not argument.kwarg_only else kwargs.get(argument.name)
            for one in given if isinstance(given, (list, tuple)) else [given]:
                if isinstance(one, PretendedTensor):
                    written[real(one).data_ptr(), tuple(one.shape), one.stride()] = one

    def lift(item: Any) -> Any:
        if not isinstance(item, Tensor):
            return item
        key = (item.data_ptr(), tuple(item.shape), item.stride())
        return written[key] if key in written else pretended(item)

    return list(written.values()), tree_map(lift, result)


class _Dispatching(TorchDispatchMode):
    """For new tensors on the device, and for CPU tensors that are sent there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _dispatch(func, args, kwargs or {})


class _Functions(TorchFunctionMode):
    """Functions whose C++ part would ask CUDA itself, and autocast, whose C++ part sees the device of the body."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if func is Tensor.to:
            return _to(*args, **kwargs)
        if func is torch.tensor and kwargs.get("device") is not None and torch.device(kwargs["device"]).type == "cuda":
            _Device.ledger.wait("copy from pageable memory")
            return pretended(torch.tensor(*args, **{**kwargs, "device": "cpu"}))
        if not any(isinstance(item, PretendedTensor) for item in tree_leaves((args, kwargs))):
            return func(*args, **kwargs)
        if func in RECURRENT:
            return recurrent_layer(name, *args, **kwargs)
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
        _refuse_other_card(device)
        is_here = isinstance(tensor, PretendedTensor)
        if not is_here and device is not None and device.type == "meta":
            return tensor.to(*args, **kwargs)
        goes_there = is_here if device is None else device.type in ("cuda", "meta")
        if goes_there == is_here:
            return tensor if dtype in (None, tensor.dtype) else aten._to_copy.default(tensor, dtype=dtype)
        target = _Device.cuda if goes_there else CPU
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

RECURRENT = [torch._VF.lstm, torch._VF.gru, torch._VF.rnn_tanh, torch.lstm, torch.gru, torch.rnn_tanh]


def recurrent_layer(kind: str, inputs: Tensor, hx: Any, weights: Sequence[Tensor], *options: Any) -> Any:
    """Stand in for `_cudnn_rnn`; under autocast all tensors are cast first (`cudnn/AutocastRNN.cpp`)."""
    states = tuple(hx) if kind == "lstm" else (hx,)
    piece = "one piece" if lie_in_one_piece(weights) else "SEVERAL PIECES, compacted at each call"
    if torch.is_autocast_enabled("cuda"):
        dtype = torch.get_autocast_dtype("cuda")
        inputs, states = inputs.to(dtype), tuple(state.to(dtype) for state in states)
        weights = [weight.to(dtype) for weight in weights]
    _Device.ledger.recurrent[f"{kind} {inputs.dtype} weights in {piece}"] += 1
    _Device.ledger.launch("_cudnn_rnn")
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


def as_tf32(item: Any) -> Any:
    """Round float32 to the 10 bits of mantissa that tensor cores multiply in TF32."""
    if not isinstance(item, Tensor) or item.dtype != torch.float32:
        return item
    return ((item.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


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
            with torch.enable_grad(), _own_work(), torch.autocast("cuda", enabled=False):
                ctx.outputs = function(leaves[0], states if kind == "lstm" else states[0], weights, *options)
            ctx.leaves = leaves
            return tuple(output.detach().to(ctx.dtype) for output in ctx.outputs)

        ctx.dtype = given[0].dtype
        made = tuple(pretended(output) for output in _run_recurrent(run))
        _note_work(kind, given, written=[], results=made)
        ctx.save_for_backward(*given, *made)  # as cuDNN does: so long is their memory in use
        ctx.has_backward = options[3] or not torch.backends.cudnn.enabled
        ctx.set_materialize_grads(False)
        return made

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        if not ctx.has_backward:
            raise RuntimeError("cudnn RNN backward can only be called in training mode")
        _Device.ledger.launch("_cudnn_rnn_backward")
        sources = [None if gradient is None else real(gradient) for gradient in gradients]

        def run() -> tuple[Tensor, ...]:
            wanted = [leaf for leaf in ctx.leaves if leaf.requires_grad]
            pairs = zip(sources, ctx.outputs, strict=True)
            given = [torch.zeros_like(output) if source is None else source.float() for source, output in pairs]
            with torch.enable_grad(), _own_work():
                return tuple(
                    found.to(ctx.dtype) for found in torch.autograd.grad(ctx.outputs, wanted, given, retain_graph=True)
                )

        found = [pretended(gradient) for gradient in _run_recurrent(run)]
        used = [gradient for gradient in gradients if isinstance(gradient, PretendedTensor)]
        _note_work("the backward pass of a cell", [*used, *ctx.saved_tensors], written=[], results=found)
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


def _storages() -> list[torch.UntypedStorage]:
    """Return the CPU storages of all pretended tensors that there are."""
    with _own_work():
        alive = [known for known in _Device.to_meta.values() if not known.expired()]
        return [torch.UntypedStorage._new_with_weak_ptr(known.cdata).block.storage for known in alive]


# `torch.cuda`.


@contextlib.contextmanager
def in_this_thread() -> Iterator[None]:
    """Let a further thread of a `pretended_cuda` block see the GPU, too: modes of torch belong to a thread."""
    with _Functions(), _Dispatching():
        yield


@contextlib.contextmanager
def pretended_cuda(index: int = 0, *, count: int = 1) -> Iterator[Ledger]:
    """Let torch see `count` GPUs inside the block; give the ledger of what the one with this index was asked to do."""
    _Device.ledger = ledger = Ledger()
    _Device.cuda = torch.device("cuda", index)
    answers = {
        "is_available": True,
        "is_initialized": True,
        "is_bf16_supported": True,
        "device_count": count,
        "current_device": index,
        "get_device_name": "pretended",
        "get_device_capability": (9, 0),
        "get_rng_state_all": [],
    }
    silent = ("_lazy_init", "set_device", "empty_cache")
    answers |= dict.fromkeys([*silent, "set_rng_state_all", "graph_pool_handle"])

    def noted(name: str, answer: Any) -> Callable[..., Any]:
        def function(*_: Any, **__: Any) -> Any:
            ledger.calls[name] += 1
            return answer

        return function

    def seed(_: int) -> None:
        refuse_in_capture("random numbers are seeded")

    def capture(graph: PretendedGraph, *, pool: object = None) -> Any:
        ledger.captures += 1
        graph.on_replay = lambda: ledger.launch("graph")
        return captured(graph, older=_storages())

    overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # `parameter.data = ...` would lose the subclass
    try:
        with contextlib.ExitStack() as stack:
            for name, answer in answers.items():
                stack.enter_context(mock.patch.object(torch.cuda, name, noted(name, answer)))
            others: dict[str, Any] = {
                **ledger.work.functions(),
                "manual_seed": seed,
                "manual_seed_all": seed,
                "graph": capture,
                "CUDAGraph": PretendedGraph,
            }
            for name, function in others.items():
                stack.enter_context(mock.patch.object(torch.cuda, name, function))
            stack.enter_context(in_this_thread())
            yield ledger
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(overwrite)
        _Device.to_meta.clear()
