"""Steps of a training on a GPU as CUDA graphs, one for each shape of batches.

A step of the default network is about a hundred kernels, most of them so small that the host takes longer to launch one
than the GPU to run it. A captured step is launched as one. The graph holds addresses, so all that differs from step to
step lies at fixed places on the device: the row numbers of the batch, the learning rate, and the state of the random
numbers, which torch fills in before each replay.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

_STEPS_BEFORE = 2
"""Steps of a shape that are launched kernel by kernel first: libraries choose and allocate in them."""
_MOST_GRAPHS = 64
"""Each graph takes some megabytes of the host and of the GPU; batches of a number of tokens have about 25 shapes."""


class Shape(NamedTuple):
    """What a graph is fixed to."""

    num_rows: int
    width: int
    """Tokens to which the rows are padded."""
    words_frozen: bool


class _CapturedStep(NamedTuple):
    """A graph and the places that it reads."""

    graph: Any  # torch.cuda.CUDAGraph, whose methods have no types
    rows: Tensor
    """(B,) int64 numbers of the rows of the batch."""


class StepGraphs:
    """The graphs of a training: a shape is captured when it comes for the third time."""

    def __init__(
        self,
        step: Callable[[Tensor, int, Tensor], None],
        *,
        device: torch.device,
        before_capture: Callable[[], None] = lambda: None,
    ) -> None:
        """Capture `step`, which takes (B,) row numbers, a width and the () factor of the learning rates.

        It must do all its work on the device, wait for nothing, and leave nothing that the host counts. No other
        thread may wait for the device while a step is captured: `before_capture` waits for such threads.
        """
        self._step, self._before_capture = step, before_capture
        self._device = device
        self._factor = torch.zeros((), device=device)
        self._num_seen: Counter[Shape] = Counter()
        self._captured: dict[Shape, _CapturedStep] = {}
        self._pool: Any = None
        self.failure = ""
        """Why nothing is captured any more; empty while graphs work."""

    def __len__(self) -> int:
        """Return the number of graphs."""
        return len(self._captured)

    def __contains__(self, shape: object) -> bool:
        """Return whether steps of this shape can be replayed."""
        return shape in self._captured

    def capture_if_due(self, shape: Shape, rows: Tensor) -> bool:
        """Count a batch of this shape with (B,) `rows`; return whether it was captured just now, without being done.

        What goes wrong is noted in `failure`, and from then on no step is captured or replayed.
        """
        self._num_seen[shape] += 1
        if self.failure or self._num_seen[shape] <= _STEPS_BEFORE or len(self) >= _MOST_GRAPHS:
            return False
        self._before_capture()
        graph = torch.cuda.CUDAGraph()
        places = rows.clone()
        try:
            # All graphs share one pool: no two run at once, and none reads what another has left there.
            self._pool = self._pool or torch.cuda.graph_pool_handle()
            with torch.cuda.graph(graph, pool=self._pool):
                self._step(places, shape.width, self._factor)
        except RuntimeError as error:
            self.give_up(str(error).strip().partition("\n")[0])
            # The device's random numbers may still believe that they are captured: a copy of their state does not.
            for generator in torch.cuda.default_generators:
                generator.graphsafe_set_state(generator.clone_state())
            torch.cuda.empty_cache()
            return False
        self._captured[shape] = _CapturedStep(graph, places)
        return True

    def replay(self, shape: Shape, rows: Tensor, factor: float) -> None:
        """Take the captured step of this shape with other (B,) `rows`."""
        captured = self._captured[shape]
        captured.rows.copy_(rows)
        self._factor.fill_(factor)
        captured.graph.replay()

    def give_up(self, reason: str) -> None:
        """Drop all graphs; from here on steps are launched kernel by kernel."""
        self.failure = reason
        self._captured.clear()
