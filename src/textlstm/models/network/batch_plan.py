"""Assignment of rows to batches, in numpy.

Each batch fills a budget of cells (rows times tokens of the longest row). Short texts come in large batches and long
texts in small ones, so every training step takes about the same time, and few cells are padding.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from textlstm.arrays.ragged import offsets_of

_BATCHES_A_POOL = 50
"""Rows are shuffled, cut into pools of this many average batches, and sorted by length within each pool."""
_MOST_ROWS = 4
"""A batch of short texts has at most this multiple of `batch_size` rows."""
_GROUP = 16
"""Large batches have a multiple of this number of rows. oneDNN cuts a batch into equal groups for the matrix unit
(AMX), so an LSTM over 61 rows takes twice as long as one over 64; `benchmarks/row_groups.py` measures it."""
_FEWEST_GROUPED = 32
"""Batches with fewer rows are not rounded to groups: there it makes no difference in speed."""
_FEW_ROWS = 8
"""Rows of batches of few shapes are a multiple of this number at least, which the matrix units of GPUs want."""
_WIDTH_STEPS = ((64, 8), (256, 16))
"""Widths up to the first number are multiples of the second."""
_WIDEST_STEP = 32
"""Larger widths are multiples of this number: 400 tokens give 25 widths in all."""


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """The batches of one pass: batch k is rows[starts[k]:starts[k + 1]], padded to widths[k] tokens."""

    rows: np.ndarray
    """(N,) int64 row numbers, batch after batch."""
    starts: np.ndarray
    """(K + 1,) int64."""
    widths: np.ndarray
    """(K,) int64 tokens of the longest row of each batch, at least 1; with a budget of tokens, in steps."""

    @property
    def num_batches(self) -> int:
        """K."""
        return len(self.widths)

    @property
    def num_cells(self) -> int:
        """Tokens and padding of the whole pass."""
        return int((np.diff(self.starts) * self.widths).sum())


def plan_epoch(
    lengths: np.ndarray,
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    weights: np.ndarray | None,
    batch_tokens: int = 0,
) -> BatchPlan:
    """Return the shuffled, length-bucketed batches of one epoch; the same arguments give the same plan.

    Args:
        lengths: (N,) tokens of each row.
        batch_size: rows of a batch of average length, without `batch_tokens`.
        seed: seed of the run.
        epoch: number of the epoch; each has another order.
        weights: (N,) probabilities of drawing a row, with replacement; None takes each row once.
        batch_tokens: cells of a batch, whose shapes are then few; 0 means those of `batch_size` rows.
    """
    random = np.random.default_rng([seed, epoch])
    num_rows = len(lengths)
    rows = random.permutation(num_rows) if weights is None else random.choice(num_rows, num_rows, p=weights)
    mean_length = float(np.maximum(lengths, 1).mean())
    # Cells of a batch: `batch_size` rows of average length, or as many as are asked for.
    budget = batch_tokens or max(1, round(batch_size * mean_length))
    if batch_tokens:
        batch_size = max(1, round(batch_tokens / mean_length))
    cut = partial(
        _cut, budget=budget, most_rows=_MOST_ROWS * batch_size, spare=_GROUP // 2, few_shapes=batch_tokens > 0
    )
    pool_size = _BATCHES_A_POOL * batch_size

    # Sort each pool by falling length and cut it into batches.
    bounds = []
    for begin in range(0, num_rows, pool_size):
        pool = rows[begin : begin + pool_size]
        pool[:] = pool[np.argsort(-lengths[pool], kind="stable")]
        bounds.append(begin + cut(lengths[pool]))

    # Shuffle the batches of all pools.
    edges = np.concatenate([*bounds, [num_rows]])
    plan = _shuffled(rows, edges, lengths, random.permutation(len(edges) - 1))
    return replace(plan, widths=_in_steps(plan.widths)) if batch_tokens else plan


def plan_sorted(lengths: np.ndarray, *, batch_cells: int, most_rows: int) -> BatchPlan:
    """Return batches in order of falling length, each of at most `batch_cells` cells and `most_rows` rows."""
    rows = np.argsort(-lengths, kind="stable")
    starts = _cut(lengths[rows], budget=batch_cells, most_rows=most_rows, spare=0)
    edges = np.concatenate([starts, [len(rows)]])
    return BatchPlan(rows, edges, np.maximum(lengths[rows[edges[:-1]]], 1))


def _cut(lengths: np.ndarray, *, budget: int, most_rows: int, spare: int, few_shapes: bool = False) -> np.ndarray:
    """Return the starts of batches over falling `lengths`; at least one row goes into each batch.

    A large batch may go beyond its budget by `spare` rows to have full groups: with 8, 61 rows become 64, with 0 48.
    Lengths [5, 3, 2, 1] and a budget of 6 cells give [0, 1, 3]: 1 x 5, 2 x 3 and 1 x 1 cells. With `few_shapes`, the
    number of rows follows from the width in steps, and is a multiple of 8 from 8 on.
    """
    widths = np.maximum(lengths, 1)
    if few_shapes:
        widths, most_rows = _in_steps(widths), max(1, most_rows // _GROUP * _GROUP)
    starts, begin = [], 0
    while begin < len(lengths):
        starts.append(begin)
        # Lengths fall, so the first row of a batch is its longest and sets its width.
        num_rows = max(1, min(most_rows, budget // int(widths[begin])))
        if num_rows >= _FEWEST_GROUPED:
            num_rows = min(most_rows, (num_rows + spare) // _GROUP * _GROUP)
        elif few_shapes and num_rows >= _FEW_ROWS:
            num_rows = (num_rows + _FEW_ROWS // 2) // _FEW_ROWS * _FEW_ROWS
        begin += num_rows
    return np.array(starts, dtype=np.int64)


def _in_steps(widths: np.ndarray) -> np.ndarray:
    """Return (K,) widths rounded up, so that few different ones are left: 3, 65 and 300 become 8, 80 and 320."""
    steps = np.full(len(widths), _WIDEST_STEP)
    for most, step in reversed(_WIDTH_STEPS):
        steps[widths <= most] = step
    return np.asarray(-(-widths // steps) * steps, dtype=np.int64)


def _shuffled(rows: np.ndarray, edges: np.ndarray, lengths: np.ndarray, order: np.ndarray) -> BatchPlan:
    """Return the batches rows[edges[k]:edges[k + 1]] in the order of the batch numbers `order`."""
    starts = offsets_of(np.diff(edges)[order])
    rows = np.concatenate([rows[edges[batch] : edges[batch + 1]] for batch in order.tolist()])
    return BatchPlan(rows, starts, np.maximum(lengths[rows[starts[:-1]]], 1))
