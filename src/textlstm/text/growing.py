"""Rows that are appended again and again: room is taken in doublings, so that a row is copied a few times at most."""

from torch import Tensor


class GrowingRows:
    """A tensor (N, ...) whose first dimension grows."""

    def __init__(self, first: Tensor) -> None:
        """Start with the rows of `first`; their type and device hold for all."""
        self._room = first
        self._num_rows = len(first)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._num_rows

    @property
    def rows(self) -> Tensor:
        """(N, ...) the rows so far; a view that later growth leaves behind."""
        return self._room[: self._num_rows]

    def append(self, more: Tensor) -> None:
        """Add the rows of `more`."""
        needed = self._num_rows + len(more)
        if needed > len(self._room):
            room = self._room.new_empty((max(needed, 2 * len(self._room)), *self._room.shape[1:]))
            room[: self._num_rows] = self.rows
            self._room = room
        self._room[self._num_rows : needed] = more
        self._num_rows = needed
