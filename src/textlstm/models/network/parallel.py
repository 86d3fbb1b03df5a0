"""Two halves of a computation at once on a CPU, the first in this thread and the other in a second thread.

With a thread for each direction of a layer, the threads wait for each other twice a layer. With two threads in each
operation, they wait at every time step. Halves run at once inside `two_threads`, elsewhere one after the other.
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
    """A function of tensors that draws no random numbers, and its arguments."""

    function: Callable[..., Tensor]
    tensors: Sequence[Tensor]


class _Task:
    """A function for the second thread, and its result or error.

    A training step has a dozen tasks, so it is kept light: one lock, no Future.
    """

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


class _SecondThread(threading.Thread):
    """The second thread: it runs its tasks in order until `stop`."""

    def __init__(self) -> None:
        super().__init__(name="second direction", daemon=True)
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()

    def run(self) -> None:
        while (task := self._tasks.get()) is not None:
            task.run()
            del task  # with the tensors that it holds, before the next wait

    def send(self, function: Callable[[], Any]) -> _Task:
        task = _Task(function)
        self._tasks.put(task)
        return task

    def stop(self) -> None:
        self._tasks.put(None)
        self.join()


_SECOND: ContextVar[_SecondThread | None] = ContextVar("second thread", default=None)


@contextmanager
def two_threads() -> Iterator[None]:
    """Run the halves that this thread gives to `both` and `both_layers` at once inside the block.

    Each half gets half of torch's threads. With a single one, or inside another such block, nothing changes.
    """
    num_threads = torch.get_num_threads()
    if num_threads < 2 or _SECOND.get():
        yield
        return
    share = num_threads // 2
    thread = _SecondThread()
    thread.start()
    token = _SECOND.set(thread)
    try:
        thread.send(partial(torch.set_num_threads, share)).result()  # OpenMP has one count for each calling thread
        torch.set_num_threads(share)
        yield
    finally:
        # First nobody can reach the thread any more, then it ends, then the number of threads is as before.
        _SECOND.reset(token)
        thread.stop()
        torch.set_num_threads(num_threads)


def both(first: Callable[[], First], second: Callable[[], Second]) -> tuple[First, Second]:
    """Return the results of two independent functions; they must not draw random numbers."""
    thread = _SECOND.get()
    if thread is None:
        return first(), second()
    # torch keeps its modes for each thread: the second one works in those of this thread.
    mode = _Mode.of_this_thread()
    task = thread.send(partial(mode.run, second))
    try:
        result = mode.run(first)
    except BaseException:
        task.wait()  # so that the second thread changes nothing after this call
        raise
    return result, task.result()


def both_layers(first: Layer, second: Layer) -> tuple[Tensor, Tensor]:
    """Return the outputs of two layers; their backward passes run at once too.

    Gradients reach the tensors of the layers only, not other tensors that the functions read, and cannot be
    differentiated again.
    """
    if _SECOND.get() is None or not torch.is_grad_enabled():
        return both(partial(first.function, *first.tensors), partial(second.function, *second.tensors))
    outputs: tuple[Tensor, Tensor] = _BothLayers.apply(  # type: ignore[no-untyped-call]
        (first.function, second.function), len(first.tensors), *first.tensors, *second.tensors
    )
    return outputs


class _BothLayers(torch.autograd.Function):
    """Each half has its own autograd graph from detached tensors to its output; each thread runs one backward."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, functions: Sequence[Callable[..., Tensor]], num_first: int, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        # Cut the graph at the inputs: each half gets leaves that share memory with the given tensors.
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
        # The graphs of the halves share no node, so two threads may walk them at once.
        found = both(
            partial(_gradients, first, its_inputs, gradients[0]),
            partial(_gradients, second, other_inputs, gradients[1]),
        )
        return None, None, *found[0], *found[1]


def _gradients(output: Tensor, inputs: Sequence[Tensor], gradient: Tensor) -> list[Tensor | None]:
    """Return the gradient of each input, None if it needs none; the graph is kept for a second backward pass."""
    wanted = [tensor for tensor in inputs if tensor.requires_grad]
    found = iter(torch.autograd.grad(output, wanted, gradient, retain_graph=True) if wanted else ())
    return [next(found) if tensor.requires_grad else None for tensor in inputs]


class _Mode(NamedTuple):
    """The modes of torch that are separate in each thread."""

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
        # The cache of casts is shared by all threads, so it is off.
        with (
            torch.inference_mode(self.inference),
            torch.set_grad_enabled(self.grad_enabled),
            torch.autocast("cpu", self.autocast_dtype, self.autocast, cache_enabled=False),
        ):
            return function()
