"""Assignment of rows to batches, in numpy.

Each batch fills a budget of cells (rows times tokens of the longest row). Short texts come in large batches and long
texts in small ones, so every training step takes about the same time, and few cells are padding.
"""

from dataclasses import dataclass

import numpy as np

from textlstm.arrays.ragged import offsets_of, places_of

_BATCHES_A_POOL = 50
"""Rows are shuffled, cut into pools of this many average batches, and sorted by length within each pool."""
_MOST_ROWS = 4
"""A batch of short texts has at most this multiple of `batch_size` rows."""
_GROUP = 16
"""Large batches have a multiple of this number of rows. oneDNN cuts a batch into equal groups for the matrix unit
(AMX), so an LSTM over 61 rows takes twice as long as one over 64; `benchmarks/row_groups.py` measures it."""
_FEWEST_GROUPED = 32
"""Batches with fewer rows are not rounded to groups: there it makes no difference in speed."""


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """The batches of one pass: batch k is rows[starts[k]:starts[k + 1]], padded to widths[k] tokens."""

    rows: np.ndarray
    """(N,) int64 row numbers, batch after batch."""
    starts: np.ndarray
    """(K + 1,) int64."""
    widths: np.ndarray
    """(K,) int64 tokens of the longest row of each batch, at least 1."""

    @property
    def num_batches(self) -> int:
        """K."""
        return len(self.widths)

    @property
    def num_cells(self) -> int:
        """Tokens and padding of the whole pass."""
        return int((np.diff(self.starts) * self.widths).sum())


def plan_epoch(lengths: np.ndarray, *, batch_size: int, seed: int, epoch: int, weights: np.ndarray | None) -> BatchPlan:
    """Return the shuffled, length-bucketed batches of one epoch; the same arguments give the same plan.

    Args:
        lengths: (N,) tokens of each row.
        batch_size: rows of a batch of average length.
        seed: seed of the run.
        epoch: number of the epoch; each has another order.
        weights: (N,) probabilities of drawing a row, with replacement; None takes each row once.
    """
    random = np.random.default_rng([seed, epoch])
    num_rows = len(lengths)
    rows = random.permutation(num_rows) if weights is None else random.choice(num_rows, num_rows, p=weights)
    # Cells of a batch: `batch_size` rows of average length.
    budget = max(1, round(batch_size * float(np.maximum(lengths, 1).mean())))
    pool_size = _BATCHES_A_POOL * batch_size

    # Sort each pool by falling length and cut it into batches.
    bounds, ordered = [], []
    for begin in range(0, num_rows, pool_size):
        pool = rows[begin : begin + pool_size]
        pool = pool[np.argsort(-lengths[pool], kind="stable")]
        bounds.append(begin + _cut(lengths[pool], budget=budget, most_rows=_MOST_ROWS * batch_size, spare=_GROUP // 2))
        ordered.append(pool)

    # Shuffle the batches of all pools.
    rows = np.concatenate(ordered)
    edges = np.concatenate([*bounds, [num_rows]])
    return _shuffled(rows, edges, lengths, random.permutation(len(edges) - 1))


def plan_sorted(lengths: np.ndarray, *, batch_cells: int, most_rows: int) -> BatchPlan:
    """Return batches in order of falling length, each of at most `batch_cells` cells and `most_rows` rows."""
    rows = np.argsort(-lengths, kind="stable")
    starts = _cut(lengths[rows], budget=batch_cells, most_rows=most_rows, spare=0)
    edges = np.concatenate([starts, [len(rows)]])
    return BatchPlan(rows, edges, np.maximum(lengths[rows[edges[:-1]]], 1))


def _cut(lengths: np.ndarray, *, budget: int, most_rows: int, spare: int) -> np.ndarray:
    """Return the starts of batches over falling `lengths`; at least one row goes into each batch.

    A large batch may go beyond its budget by `spare` rows to have full groups: with 8, 61 rows become 64, with 0 48.
    Lengths [5, 3, 2, 1] and a budget of 6 cells give [0, 1, 3]: 1 x 5, 2 x 3 and 1 x 1 cells.
    """
    starts, begin = [], 0
    while begin < len(lengths):
        starts.append(begin)
        # Lengths fall, so the first row of a batch is its longest and sets its width.
        num_rows = max(1, min(most_rows, budget // max(1, int(lengths[begin]))))
        if num_rows >= _FEWEST_GROUPED:
            num_rows = min(most_rows, (num_rows + spare) // _GROUP * _GROUP)
        begin += num_rows
    return np.array(starts, dtype=np.int64)


def _shuffled(rows: np.ndarray, edges: np.ndarray, lengths: np.ndarray, order: np.ndarray) -> BatchPlan:
    """Return the batches rows[edges[k]:edges[k + 1]] in the order of the batch numbers `order`."""
    sizes = np.diff(edges)[order]
    starts = offsets_of(sizes)
    rows = rows[places_of(edges[:-1][order], sizes)]
    return BatchPlan(rows, starts, np.maximum(lengths[rows[starts[:-1]]], 1))
