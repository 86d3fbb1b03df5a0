"""Two halves of a computation at once: on a CPU in two threads, on a GPU on two streams.

With a thread for each direction of a layer, the threads wait for each other twice a layer. With two threads in each
operation, they wait at every time step. Halves run at once inside `two_threads`, elsewhere one after the other.

On a GPU a cell is a chain of time steps, each of which is too small for the whole card, so the cells of both directions
run beside each other. cuDNN could take both in one call only with packed texts, for the backward cell has to begin at
the last token of each text; for these it has the slower of its algorithms, and no step with them can be captured.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
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
    device = first.tensors[0].device
    at_once: _AtOnce = both
    if device.type == "cuda" and _TWO_STREAMS.get():
        at_once = partial(_on_two_streams, device)
    elif _SECOND.get() is None:
        return first.function(*first.tensors), second.function(*second.tensors)
    if not torch.is_grad_enabled():
        return at_once(partial(first.function, *first.tensors), partial(second.function, *second.tensors))
    outputs: tuple[Tensor, Tensor] = _BothLayers.apply(  # type: ignore[no-untyped-call]
        at_once, (first.function, second.function), len(first.tensors), *first.tensors, *second.tensors
    )
    return outputs


# On a GPU.

_AtOnce = Callable[[Callable[[], Any], Callable[[], Any]], tuple[Any, Any]]
"""`both`, or what does the same on a GPU."""
_TWO_STREAMS: ContextVar[bool] = ContextVar("two streams", default=True)


@contextmanager
def one_stream() -> Iterator[None]:
    """Let a GPU compute the halves inside the block one after the other, to measure what two streams bring."""
    token = _TWO_STREAMS.set(False)
    try:
        yield
    finally:
        _TWO_STREAMS.reset(token)


@cache
def _second_stream(device: torch.device) -> torch.cuda.Stream:
    """Return the one further stream of a GPU: memory is kept apart by stream, so there are no more of them."""
    made: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    return made


def _on_two_streams(
    device: torch.device, first: Callable[[], First], second: Callable[[], Second]
) -> tuple[First, Second]:
    """Return the results of two functions, of which a GPU computes the second beside the first.

    What comes after them on the current stream comes after both. So the memory of neither is given to another tensor
    too early: what one stream frees within the block goes to its own next tensors alone, and `both_layers` holds what
    the other stream still reads until its end.
    """
    main, side = torch.cuda.current_stream(device), _second_stream(device)
    side.wait_stream(main)
    try:
        with torch.cuda.stream(side):
            later = second()
        return first(), later
    finally:
        main.wait_stream(side)


class _BothLayers(torch.autograd.Function):
    """Each half has its own autograd graph from detached tensors to its output; each half runs one backward."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        at_once: "_AtOnce",
        functions: Sequence[Callable[..., Tensor]],
        num_first: int,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        # Cut the graph at the inputs: each half gets leaves that share memory with the given tensors.
        leaves = [tensor.detach().requires_grad_(tensor.requires_grad) for tensor in tensors]
        inputs = leaves[:num_first], leaves[num_first:]
        with torch.enable_grad():
            outputs = at_once(*(partial(function, *its) for function, its in zip(functions, inputs, strict=True)))
        ctx.graphs, ctx.at_once = (*outputs, *inputs), at_once  # type: ignore[attr-defined]
        return tuple(output.detach() for output in outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        first, second, its_inputs, other_inputs = ctx.graphs  # type: ignore[attr-defined]
        # The graphs of the halves share no node, so two threads may walk them at once.
        found = ctx.at_once(  # type: ignore[attr-defined]
            partial(_gradients, first, its_inputs, gradients[0]),
            partial(_gradients, second, other_inputs, gradients[1]),
        )
        return None, None, None, *found[0], *found[1]


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
