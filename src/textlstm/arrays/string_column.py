"""Strings that stay in Arrow's memory, or in a file behind it, until they are read."""

from collections.abc import Callable, Iterator, Sequence
from typing import overload

import pyarrow as pa


class StringColumn(Sequence[str]):
    """The strings of an Arrow column, each made when it is read: a list of them takes many times the memory."""

    def __init__(self, column: pa.ChunkedArray, *, release: Callable[[], None] = lambda: None) -> None:
        """Read `column`; `release` is called after each of its chunks that is read through."""
        self.column = column
        self._release = release

    def __len__(self) -> int:
        """Return the number of strings."""
        return len(self.column)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        """Return one string, or a list of some."""
        if isinstance(place, slice):
            start, end, _ = place.indices(len(self.column))
            strings: list[str] = self.column[start:end].to_pylist()
            return strings[:: place.step]
        string: str = self.column[place].as_py()
        return string

    def __iter__(self) -> Iterator[str]:
        """Yield the strings."""
        for chunk in self.column.chunks:
            yield from chunk.to_pylist()
            self._release()
