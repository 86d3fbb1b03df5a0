"""Where rows begin in a file, found in one cheap pass, so that shards of it can be read on their own."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textlstm.config import FileFormat
from textlstm.corpus.files.class_folders import list_class_files
from textlstm.corpus.files.delimited import syntax_of, take_header
from textlstm.corpus.files.line_records import is_blank
from textlstm.corpus.files.parquet import count_parquet_rows
from textlstm.corpus.files.read_settings import ReadSettings
from textlstm.corpus.files.readers import kind_of_input
from textlstm.corpus.files.row_input import LineInput, ReadCounts, RowRange, RowStart
from textlstm.corpus.files.streams import FileState, check_unchanged, file_state
from textlstm.errors import InputError


@dataclass(frozen=True, slots=True)
class RowIndex:
    """Rows of one file: how many (records and rejects), and where every `stride`-th begins."""

    path: Path
    num_rows: int
    stride: int
    offsets: np.ndarray
    """(ceil(num_rows / stride),) int64: bytes before rows 1, 1 + stride, ...; empty where reading cannot seek."""
    state: FileState | None

    def rows(self, first: int, last: int) -> RowRange:
        """Return how to read rows `first` to `last`, both included, as `read_records(..., rows=...)` takes it.

        Example: with stride 1000, rows(2500, 2600) reads on from row 2001.
        """
        start = None
        if len(self.offsets):
            place = (first - 1) // self.stride
            start = RowStart(place * self.stride + 1, int(self.offsets[place]))
        return RowRange(first, min(last, self.num_rows), start, self.state)


def index_rows(path: Path, settings: ReadSettings, *, stride: int = 1000) -> RowIndex:
    """Return where the rows of `path` begin; values are not looked at.

    Raises:
        InputError: as `read_records` for whole files; rows are not checked.
    """
    kind = kind_of_input(path, settings)
    state = None if kind.format is FileFormat.folder else file_state(path)
    source = LineInput(path, kind, settings)
    offsets: list[int] = []
    num_rows = 0
    match kind.format:
        case FileFormat.folder:
            num_rows = len(list_class_files(path))
        case FileFormat.parquet:
            num_rows = count_parquet_rows(path)
        case _:
            for offset in _row_offsets(source):
                if num_rows % stride == 0:
                    offsets.append(offset)
                num_rows += 1
    check_unchanged(path, state)
    if num_rows == 0:
        raise InputError(f"{path}: has no data rows.")
    return RowIndex(path, num_rows, stride, np.array(offsets if source.can_seek else [], dtype=np.int64), state)


def _row_offsets(source: LineInput) -> Iterator[int]:
    """Yield the byte at which each row of a file of lines begins."""
    with source.lines() as lines:
        match source.kind.format:
            case FileFormat.csv | FileFormat.tsv:
                columns = take_header(lines, source)
                blank = ReadCounts() if len(columns) > 1 else None
                rows = syntax_of(source.kind.format).read_rows(lines, name=source.name, number=1, blank=blank)
                yield from (row.offset for row in rows)
            case FileFormat.jsonl:
                yield from (line.offset for line in lines if not is_blank(line.data))
            case _:
                yield from (line.offset for line in lines)
