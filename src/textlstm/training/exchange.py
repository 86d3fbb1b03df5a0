"""The sum of gradients over processes, which begins while the backward pass still goes on.

Gradients come in groups (see `FlatAdamW`). The sum of a group is started as soon as the backward pass has its last
gradient, in the same order in all processes. Of the word table only rows that the batch has are exchanged.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, distributed, nn

from textlstm.processes.distributed import Processes
from textlstm.training.adamw import FlatAdamW
from textlstm.training.optimizer import Optimizer

_UNKNOWN_ID = 1


class GradientExchange:
    """The sums of one training; a step calls `begin`, `expect_last` before its last backward pass, and `finish`."""

    def __init__(self, optimizer: Optimizer, processes: Processes) -> None:
        """Watch the parameters of `optimizer`, several `processes` of which train together."""
        self._optimizer, self._processes = optimizer, processes
        # The backward pass meets layers last to first; the rest, in the last group, has parameters at both ends.
        *cells, self._rest = range(len(optimizer.others.groups))
        self._order = [*reversed(cells), self._rest]
        self._missing: dict[int, int] = {}
        self._sums: dict[int, Tensor] = {}
        self._works: list[distributed.Work] = []
        for number, group in enumerate(optimizer.others.groups):
            for parameter in group:
                hook = partial(self._note, number)
                parameter.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]

    def begin(self) -> None:
        """Begin a step, in which nothing is summed yet."""
        self._missing, self._sums, self._works = {}, {}, []

    def expect_last(self) -> None:
        """Expect the last backward pass of the step: a group whose gradients it has is complete.

        After a pass that ran out of memory this is called again; sums that have begun are complete and stay.
        """
        self._missing = {number: len(group) for number, group in enumerate(self._optimizer.others.groups)}

    def finish(self, token_ids: Tensor, *others: Tensor) -> None:
        """Replace all gradients, and the float32 tensors `others`, by their sums over the processes.

        Args:
            token_ids: (B, T) of the whole batch, the same in all processes.
            others: further tensors to sum.
        """
        self._start(self._order)
        words = None if self._optimizer.words_frozen else self._optimizer.words.gradients[0]
        if words is None:
            self._processes.sum(others)
        elif isinstance(self._optimizer.words, FlatAdamW):
            table = words.view(self._optimizer.words.parameters[0].shape)
            sum_rows(table, token_ids, others, processes=self._processes)
        else:  # the table of the step holds the words of the batch alone
            self._processes.sum([words, *others])
        for work in self._works:
            work.wait()
        for number, total in self._sums.items():
            self._optimizer.others.set_gradient(number, total)

    def _note(self, number: int, _parameter: nn.Parameter) -> None:
        """Count a gradient; start the groups that are complete, and whose turn it is."""
        if not self._missing:
            return
        self._missing[number] -= 1
        ready = []
        for group in self._order:
            if self._missing[group]:
                break
            ready.append(group)
        self._start(ready)

    def _start(self, groups: Sequence[int]) -> None:
        for group in groups:
            if group not in self._sums:
                self._sums[group] = self._optimizer.others.gradient_of(group)
                self._works.append(distributed.all_reduce(self._sums[group], async_op=True))


def sum_rows(table: Tensor, token_ids: Tensor, others: Sequence[Tensor], *, processes: Processes) -> None:
    """Replace the (V, E) gradient `table`, and `others`, by their sums, of the table the rows of (B, T) `token_ids`.

    All other rows are zero in every process. A row that several tokens name travels as often, for to find
    distinct ids a GPU would have to wait; a table that is smaller than that travels whole.
    """
    if token_ids.numel() + 1 >= len(table):
        processes.sum([table, *others])
        return
    # Ids beyond the table are the unknown word, and so are words that dropout has taken out.
    ids = nn.functional.pad(token_ids.reshape(-1), (0, 1), value=_UNKNOWN_ID).long()
    ids = torch.where(ids < len(table), ids, _UNKNOWN_ID)
    rows = table.index_select(0, ids)
    processes.sum([rows, *others])
    table.index_copy_(0, ids, rows)
