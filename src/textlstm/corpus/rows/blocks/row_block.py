"""Many rows of one file as columns, and how one of them is read by itself."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from textlstm.corpus.rows.records import Record, Reject
from textlstm.corpus.rows.settings import ReadSettings


class RowBlock(NamedTuple):
    """Consecutive rows of a file: N of them as columns, and the others one by one."""

    file: str
    numbers: npt.NDArray[np.int64]
    """(N,) row numbers of the columns, rising."""
    columns: Mapping[str, pa.Array]
    """(N,) values of those of `wanted_columns` that the file has; strings are valid UTF-8."""
    record: Callable[[int], Record | Reject]
    """Reads the row at a place of the columns as the reader of single rows does."""
    others: tuple[Record | Reject, ...] = ()
    """Rows among these that are no part of the columns, in order; their numbers tell where they belong."""

    @property
    def num_rows(self) -> int:
        """All rows, those of the columns and the others."""
        return len(self.numbers) + len(self.others)


def wanted_columns(settings: ReadSettings) -> tuple[str, ...]:
    """Return the columns that labeled rows are read from: text, label or labels, id, weight."""
    columns = settings.columns
    named = (columns.text, columns.labels or columns.label, columns.id, columns.weight)
    return tuple(dict.fromkeys(name for name in named if name))


def other_rows(file: str, rows: tuple[Record | Reject, ...]) -> RowBlock:
    """Return a block of rows that were all read one by one."""

    def no_record(place: int) -> Record | Reject:
        raise IndexError(place)

    return RowBlock(file, np.zeros(0, np.int64), {}, no_record, rows)


def mark_not_utf8(data: bytes, ends: npt.NDArray[np.int64], is_usual: npt.NDArray[np.bool_]) -> None:
    """Set `is_usual` (N,) to False for rows, which end at the places `ends` of `data`, with bytes that are no UTF-8."""
    start, view = 0, memoryview(data)
    while start < len(data):
        try:
            str(view[start:], "utf-8")
            return
        except UnicodeDecodeError as error:
            row = int(np.searchsorted(ends, start + error.start))
            # Bytes after the last row are of no row.
            if row == len(ends):
                return
            is_usual[row] = False
            start = int(ends[row]) + 1
