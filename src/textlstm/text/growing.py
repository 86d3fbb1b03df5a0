"""Rows that are appended again and again: room is taken in doublings, so that a row is copied a few times at most."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray


class GrowingRows:
    """An array or a tensor (N, ...) whose first dimension grows."""

    def __init__(self, first: Any, allocate: Callable[[int], Any]) -> None:
        """Start with the rows of `first`; `allocate` gives room for a number of such rows, whatever is in it."""
        self._room = first
        self._allocate = allocate
        self._num_rows = len(first)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._num_rows

    @property
    def rows(self) -> Any:
        """(N, ...) the rows so far; a view that later growth leaves behind."""
        return self._room[: self._num_rows]

    def append(self, more: Any) -> None:
        """Add the rows of `more`."""
        needed = self._num_rows + len(more)
        if needed > len(self._room):
            room = self._allocate(max(needed, 2 * len(self._room)))
            room[: self._num_rows] = self.rows
            self._room = room
        self._room[self._num_rows : needed] = more
        self._num_rows = needed


class Runs(NamedTuple):
    """Some runs of values, one after another."""

    values: NDArray[Any]
    """(M,) all values."""
    sizes: NDArray[np.int64]
    """(N,) how many values each run has."""


class GrowingRuns:
    """Runs of values of any length, numbered as they are appended."""

    def __init__(self, dtype: DTypeLike) -> None:
        """Start without a run."""
        self._values = GrowingRows(np.empty(0, dtype), partial(np.empty, dtype=dtype))
        self._ends = GrowingRows(np.zeros(1, np.int64), partial(np.empty, dtype=np.int64))
        """Run k has the values of places `ends[k]` to `ends[k + 1] - 1`."""

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self._ends) - 1

    def append(self, more: Runs) -> None:
        """Add the runs of `more`."""
        self._ends.append(self._ends.rows[-1] + np.cumsum(more.sizes))
        self._values.append(more.values)

    def take(self, numbers: NDArray[np.integer[Any]]) -> Runs:
        """Return the runs of these (N,) numbers, in that order."""
        starts = self._ends.rows[numbers]
        sizes = self._ends.rows[numbers + 1] - starts
        ends = np.cumsum(sizes)
        places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - sizes), sizes)
        return Runs(self._values.rows[places], sizes)
