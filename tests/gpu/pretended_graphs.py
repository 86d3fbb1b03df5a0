"""CUDA graphs of the pretended device: a captured block is a list of operations that `replay` does again.

As on a real device, a capture changes nothing that was there before it, the host may not wait in it, and random
numbers may not be seeded in it. A replay works at the addresses of the capture: what Python decided or counted while
it captured is not done again, so a step that leans on the host gives other numbers here, too.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves


class Recording:
    """The operations of a captured block, on the CPU tensors that stand for those of the device."""

    active: "Recording | None" = None
    """The block that is being captured now; there is one at most, as on a device."""

    def __init__(self, older: Sequence[torch.UntypedStorage]) -> None:
        """Record a block; the storages `older` were there before, and stay until its end."""
        self._older = {storage._cdata: storage for storage in older}
        self._operations: list[Callable[[], object]] = []

    def is_older(self, tensor: Tensor) -> bool:
        """Return whether a tensor lies in memory of before the capture, which must not change now."""
        return tensor.untyped_storage()._cdata in self._older

    def add(self, operation: Callable[[], object]) -> None:
        """Note an operation for the replay."""
        self._operations.append(operation)

    def do(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Note an operation of ATen, and do as much of it as gives its result a shape."""
        if func.is_view:
            return func(*args, **kwargs)
        written = _written(func, args, kwargs)
        if not written:
            made = func(*args, **kwargs)
            self.add(lambda: _put(made, func(*args, **kwargs)))
            return made
        self.add(lambda: func(*args, **kwargs))
        if not any(self.is_older(tensor) for tensor in written):
            return func(*args, **kwargs)
        # Memory of before the capture: in-place operations return what they write to, those over lists nothing.
        returned = len(func._schema.returns)
        return None if not returned else written[0] if returned == 1 else tuple(written)

    def replay(self) -> None:
        """Do all operations again."""
        with torch.no_grad():
            for operation in self._operations:
                operation()


def refuse_in_capture(what: str) -> None:
    """Raise what CUDA raises when a captured block does what cannot be captured."""
    if Recording.active is not None:
        raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing ({what})")


def _written(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Tensor]:
    found: list[Tensor] = []
    for number, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = args[number] if number < len(args) and not argument.kwarg_only else kwargs.get(argument.name)
            found += [leaf for leaf in tree_leaves(given) if isinstance(leaf, Tensor)]
    return found


def _put(places: Any, values: Any) -> None:
    for place, value in zip(tree_leaves(places), tree_leaves(values), strict=True):
        if isinstance(place, Tensor):
            place.copy_(value)


class PretendedGraph:
    """Stands in for `torch.cuda.CUDAGraph`."""

    def __init__(self) -> None:
        self.recording: Recording | None = None
        self.on_replay: Callable[[], None] = lambda: None

    def replay(self) -> None:
        assert self.recording is not None, "nothing was captured"
        refuse_in_capture("replay")
        self.on_replay()
        self.recording.replay()


@contextlib.contextmanager
def captured(graph: PretendedGraph, *, older: Sequence[torch.UntypedStorage]) -> Iterator[None]:
    """Capture what the block does."""
    refuse_in_capture("capture")
    Recording.active = Recording(older)
    try:
        yield
        graph.recording = Recording.active
        graph.recording._older = {}
    finally:
        Recording.active = None
