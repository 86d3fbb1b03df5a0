"""Two halves of a computation at once, each in a thread of its own. For the CPU.

A core each for the two directions of a layer wastes less than two cores for one direction after the other: the threads
meet twice a layer, not at every time step. Threads are open inside `two_threads`; elsewhere the halves run in turn.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

First = TypeVar("First")
Second = TypeVar("Second")


class Layer(NamedTuple):
    """A function of tensors that draws no random numbers, and the tensors."""

    function: Callable[..., Tensor]
    tensors: Sequence[Tensor]


class _Task:
    """A function that the helper runs, and what came of it; a training step has a dozen, so it is kept light."""

    __slots__ = ("_ended", "_error", "_function", "_result")

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._result: Any = None
        self._error: BaseException | None = None
        self._ended = threading.Lock()
        self._ended.acquire()

    def run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:
            self._error = error
        finally:
            self._ended.release()

    def wait(self) -> None:
        with self._ended:
            pass

    def result(self) -> Any:
        self.wait()
        if self._error is not None:
            raise self._error
        return self._result


class _Helper(threading.Thread):
    """The thread of the second thread."""

    def __init__(self) -> None:
        super().__init__(name="second direction", daemon=True)
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()

    def run(self) -> None:
        while (task := self._tasks.get()) is not None:
            task.run()
            del task  # and the tensors that it holds

    def send(self, function: Callable[[], Any]) -> _Task:
        task = _Task(function)
        self._tasks.put(task)
        return task

    def dismiss(self) -> None:
        self._tasks.put(None)
        self.join()


_HELPER: ContextVar[_Helper | None] = ContextVar("helper", default=None)


@contextmanager
def two_threads() -> Iterator[None]:
    """Let the halves that this thread gives to `both` and `both_layers` run at once inside the block.

    The threads share the threads that torch has; with a single one, or inside another such block, nothing changes.
    """
    num_threads = torch.get_num_threads()
    if num_threads < 2 or _HELPER.get():
        yield
        return
    share = num_threads // 2
    helper = _Helper()
    helper.start()
    token = _HELPER.set(helper)
    try:
        helper.send(partial(torch.set_num_threads, share)).result()  # OpenMP counts for each thread that asks
        torch.set_num_threads(share)
        yield
    finally:
        _HELPER.reset(token)
        helper.dismiss()
        torch.set_num_threads(num_threads)


def both(first: Callable[[], First], second: Callable[[], Second]) -> tuple[First, Second]:
    """Return what two functions return that need nothing of each other; they must draw no random numbers."""
    helper = _HELPER.get()
    if helper is None:
        return first(), second()
    mode = _Mode.of_this_thread()
    task = helper.send(partial(mode.run, second))
    try:
        result = mode.run(first)
    except BaseException:
        task.wait()  # ended, so that nothing changes under the caller's feet
        raise
    return result, task.result()


def both_layers(first: Layer, second: Layer) -> tuple[Tensor, Tensor]:
    """Return the outputs of two layers, and compute the gradients of both at once too.

    The gradients are those of the tensors given, whatever else the functions read, and cannot be differentiated again.
    """
    if _HELPER.get() is None or not torch.is_grad_enabled():
        return both(partial(first.function, *first.tensors), partial(second.function, *second.tensors))
    outputs: tuple[Tensor, Tensor] = _BothLayers.apply(  # type: ignore[no-untyped-call]
        (first.function, second.function), len(first.tensors), *first.tensors, *second.tensors
    )
    return outputs


class _BothLayers(torch.autograd.Function):
    """Each half is a graph of its own, from copies of its tensors to its output; a backward pass runs through both."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, functions: Sequence[Callable[..., Tensor]], num_first: int, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        leaves = [tensor.detach().requires_grad_(tensor.requires_grad) for tensor in tensors]
        inputs = leaves[:num_first], leaves[num_first:]
        with torch.enable_grad():
            outputs = both(*(partial(function, *its) for function, its in zip(functions, inputs, strict=True)))
        ctx.graphs = *outputs, *inputs  # type: ignore[attr-defined]
        return tuple(output.detach() for output in outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        first, second, its_inputs, other_inputs = ctx.graphs  # type: ignore[attr-defined]
        found = both(
            partial(_gradients, first, its_inputs, gradients[0]),
            partial(_gradients, second, other_inputs, gradients[1]),
        )
        return None, None, *found[0], *found[1]


def _gradients(output: Tensor, inputs: Sequence[Tensor], gradient: Tensor) -> list[Tensor | None]:
    """Return the gradient of each input, None where it wants none; the graph stays, for a second backward pass."""
    wanted = [tensor for tensor in inputs if tensor.requires_grad]
    found = iter(torch.autograd.grad(output, wanted, gradient, retain_graph=True) if wanted else ())
    return [next(found) if tensor.requires_grad else None for tensor in inputs]


class _Mode(NamedTuple):
    """The modes of torch that each thread has for itself."""

    grad_enabled: bool
    inference: bool
    autocast: bool
    autocast_dtype: torch.dtype

    @classmethod
    def of_this_thread(cls) -> "_Mode":
        return cls(
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.is_autocast_enabled("cpu"),
            torch.get_autocast_dtype("cpu"),
        )

    def run(self, function: Callable[[], First]) -> First:
        if not self.autocast and self == _Mode.of_this_thread():
            return function()
        # without the cache of casts, which all threads share
        with (
            torch.inference_mode(self.inference),
            torch.set_grad_enabled(self.grad_enabled),
            torch.autocast("cpu", self.autocast_dtype, self.autocast, cache_enabled=False),
        ):
            return function()
