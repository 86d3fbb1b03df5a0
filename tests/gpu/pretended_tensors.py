"""Tensors of the pretended device, and what each operation on them does; see `pretended_cuda.py`."""

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from pretended_graphs import Recording, refuse_in_capture
from pretended_streams import Block, Work
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
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


class Device:
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


LAYERS: dict[Any, Callable[..., Any]] = {}
"""What stands in for functions of torch whose C++ part would ask CUDA itself; `pretended_layers.py` fills it."""


# Tensors.


class PretendedTensor(Tensor):
    """A tensor that is on `cuda:0` for everybody who asks."""

    @staticmethod
    def __new__(cls, body: Tensor) -> "PretendedTensor":
        return Tensor._make_subclass(cls, body, False, device_for_backend_keys=Device.cuda)

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "__get__":
            asked = getattr(func, "__self__", None)
            answers = {id(Tensor.device): Device.cuda, id(Tensor.is_cuda): True, id(Tensor.is_meta): False}
            if id(asked) in answers:
                return answers[id(asked)]
        if func in LAYERS:
            return LAYERS[func](name, *args, **kwargs)
        if name == "tolist":
            Device.ledger.wait("tolist")
            return real(args[0]).tolist()
        if name == "get_device":
            return Device.cuda.index
        if name in ("numpy", "__array__"):
            raise TypeError(f"can't convert cuda:0 device type tensor to numpy, at {project_line()}")
        Device.depth += 1
        try:
            with without_functions():
                return func(*args, **kwargs)
        finally:
            Device.depth -= 1

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _dispatch(func, args, kwargs or {})

    def __repr__(self) -> str:
        return f"PretendedTensor({real(self)})"


@contextlib.contextmanager
def own_work() -> Iterator[None]:
    """Work of this module: normal tensors, and meta means meta."""
    before, Device.depth = Device.depth, 0
    try:
        with without_functions(), torch.inference_mode(False):
            yield
    finally:
        Device.depth = before


def real(tensor: Tensor) -> Tensor:
    """Return the CPU tensor behind a pretended one; they share their numbers."""
    with own_work():
        if not isinstance(tensor, PretendedTensor) and tensor.device.type == "meta":  # zeros that autograd made
            return torch.zeros(tensor.shape, dtype=tensor.dtype)
        made = torch.empty(0, dtype=tensor.dtype)
        made.set_(_block(tensor).storage, tensor.storage_offset(), tensor.size(), tensor.stride())
    return made


def pretended(tensor: Tensor) -> PretendedTensor:
    """Return a pretended tensor over the numbers of a CPU tensor."""
    with own_work():
        storage = tensor.untyped_storage()
        known = Device.to_meta.get(storage._cdata)
        if known is None or known.expired():
            meta = torch.UntypedStorage(storage.nbytes(), device="meta")
            meta.block = Block(storage, Device.ledger.work)
            Device.to_meta[storage._cdata] = StorageWeakRef(meta)
        else:
            meta = torch.UntypedStorage._new_with_weak_ptr(known.cdata)
        body = torch.empty(0, dtype=tensor.dtype, device="meta")
        body.set_(meta, tensor.storage_offset(), tensor.size(), tensor.stride())
        return PretendedTensor(body)


def _block(tensor: Tensor) -> Block:
    """Return the memory of a pretended tensor."""
    return tensor.untyped_storage().block


def note_work(what: str, tensors: Sequence[Tensor], *, written: Sequence[Tensor], results: Any) -> None:
    """Note an operation on its stream: what it reads, what it changes, and what it has made."""
    work = Device.ledger.work
    if len(work.streams) == 1:
        return
    with own_work():
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
        return Device.cuda if mine else args[0].device
    ours = ("cuda", "meta") if Device.depth else ("cuda",)
    if not mine and (device is None or torch.device(device).type not in ours):
        return _on_host(func, args, dict(kwargs))
    refuse_other_card(device)
    # In inference mode composite operations arrive whole; their parts are what a GPU would run.
    if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
        with Dispatching():
            found = func.decompose(*args, **kwargs)
        if found is not NotImplemented:
            return found
    if name == "_to_copy":
        return _to_copy(func, args[0], dict(kwargs))
    if name == "copy_":
        return _copy(func, *args)
    _check(func, name, args, mine, [item for item in tensors if not isinstance(item, PretendedTensor)])
    if name not in _NO_KERNEL and not func.is_view:
        Device.ledger.launch(name)

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
        note_work(name, mine, written=written, results=results)
    return results


def refuse_other_card(device: Any) -> None:
    asked = None if device is None else torch.device(device)
    if asked is not None and asked.type == "cuda" and asked.index not in (None, Device.cuda.index):
        raise RuntimeError(f"{asked} in a process that has {Device.cuda}, at {project_line()}")


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
            Device.ledger.wait("index on the host")
        elif tensor.dim() or is_written:
            raise MixedDevices(f"{func} with a CPU tensor {tuple(tensor.shape)} at {project_line()}")
    tags = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
    is_index_by_mask = name in _INDEXING and any(
        isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8) for index in args[1]
    )
    if name in _INDEXING:
        if is_index_by_mask:
            Device.ledger.wait("mask as index")
    elif tags & set(func.tags):
        Device.ledger.wait(name)


def _to_copy(func: Any, source: Tensor, kwargs: dict[str, Any]) -> Tensor:
    """Convert, or copy between host and device."""
    target, non_blocking = kwargs.pop("device", None), kwargs.pop("non_blocking", False)
    if isinstance(source, PretendedTensor):
        if target is not None and torch.device(target).type == "cpu":
            Device.ledger.wait("copy to the host")
            return func(real(source).clone(), **kwargs)
        Device.ledger.launch("_to_copy")
        made = pretended(_done(func, (real(source),), kwargs))
        note_work("_to_copy", [source], written=[], results=made)
        return made
    if not (non_blocking and _is_pinned(source)):
        Device.ledger.wait("copy from pageable memory")
    made = func(source, **kwargs)
    is_same = made.untyped_storage()._cdata == source.untyped_storage()._cdata
    return pretended(made.clone() if is_same else made)


def _copy(func: Any, into: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    host = source if isinstance(into, PretendedTensor) else into
    is_pinned = not isinstance(host, PretendedTensor) and _is_pinned(host)
    if isinstance(into, PretendedTensor) == isinstance(source, PretendedTensor) or (is_pinned and non_blocking):
        Device.ledger.launch("copy_")
    elif source.dim() or isinstance(source, PretendedTensor):  # a number travels with the launch
        Device.ledger.wait("copy from pageable memory" if isinstance(into, PretendedTensor) else "copy to the host")
    mine = [one for one in (into, source) if isinstance(one, PretendedTensor)]
    note_work("copy_", mine, written=[one for one in mine if one is into], results=None)
    if host is into and is_pinned and non_blocking:
        with own_work(), torch.no_grad():
            Device.ledger.work.copy_later(into, real(source))
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


class Dispatching(TorchDispatchMode):
    """For new tensors on the device, and for CPU tensors that are sent there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _dispatch(func, args, kwargs or {})


def as_tf32(item: Any) -> Any:
    """Round float32 to the 10 bits of mantissa that tensor cores multiply in TF32."""
    if not isinstance(item, Tensor) or item.dtype != torch.float32:
        return item
    return ((item.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


def storages() -> list[torch.UntypedStorage]:
    """Return the CPU storages of all pretended tensors that there are."""
    with own_work():
        alive = [known for known in Device.to_meta.values() if not known.expired()]
        return [torch.UntypedStorage._new_with_weak_ptr(known.cdata).block.storage for known in alive]
