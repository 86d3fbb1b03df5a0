"""Rows that are appended again and again: room is taken in doublings, so that a row is copied a few times at most."""

from collections.abc import Callable
from typing import Any


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
