"""The batches of an epoch on the device."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from textlstm.models.network.batch import Batch, DeviceSplit
from textlstm.models.network.batch_plan import BatchPlan
from textlstm.training.graphs import Shape, StepGraphs
from textlstm.training.lazy_adamw import FoundWords
from textlstm.training.optimizer import Optimizer

_RELEASE_BATCHES = 16
"""Batches after which the memory of their rows is given back: each row of a file brings 64 KB of it along."""


class Gathered(NamedTuple):
    """The rows of a batch."""

    inputs: Batch
    targets: Tensor
    """(B,) int64 label ids or (B, L) float32 zeros and ones."""
    words: FoundWords | None
    """The words of `inputs`, whose ids are numbers among them; None where a step takes the whole table."""
    weights: Tensor | None
    """(B,) float32 weights of the rows; None where all weigh alike."""


class TrainingBatch(NamedTuple):
    """A batch before its step."""

    rows: Tensor
    """(B,) int64 row numbers, on the device."""
    num_rows: int
    num_tokens: int
    """Padding left out."""
    width: int
    """Tokens to which the rows are padded."""
    gathered: Gathered | None
    """None where a captured step gathers the rows itself."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """The batches of one epoch, gathered one at a time."""

    plan: BatchPlan
    rows: Tensor
    """(N,) int64 `plan.rows` on the device."""
    split: DeviceSplit
    optimizer: Optimizer
    graphs: StepGraphs | None

    def batch(self, number: int) -> TrainingBatch | None:
        """Return a batch, None after the last; it may be gathered beside the optimizer's step for the one before."""
        if number >= self.plan.num_batches:
            return None
        if number % _RELEASE_BATCHES == 0:
            self.split.release()
        first, last = int(self.plan.starts[number]), int(self.plan.starts[number + 1])
        rows, width = self.rows[first:last], int(self.plan.widths[number])
        num_tokens = int(self.split.lengths[self.plan.rows[first:last]].sum())
        shape = Shape(last - first, width, self.optimizer.words_frozen)
        is_captured = self.graphs is not None and shape in self.graphs
        return TrainingBatch(rows, last - first, num_tokens, width, None if is_captured else self.gather(rows, width))

    def gather(self, rows: Tensor, width: int) -> Gathered:
        """Return the batch of (B,) int64 `rows`, padded to `width` tokens, without waiting for the device."""
        return gather(self.split, self.optimizer, rows, width)


def gather(split: DeviceSplit, optimizer: Optimizer, rows: Tensor, width: int) -> Gathered:
    """Return the batch of (B,) int64 `rows` of `split`, padded to `width` tokens, as a step of `optimizer` takes it."""
    inputs = split.batch(rows, width=width)
    # From ids in the vocabulary to numbers among the words of the batch: the table of a step holds only these.
    words = optimizer.lookup(inputs.token_ids)
    if words:
        inputs = inputs._replace(token_ids=words.numbers)
    return Gathered(inputs, split.targets[rows], words, None if split.weights is None else split.weights[rows])
