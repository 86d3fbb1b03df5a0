"""Where rows begin in a file, found in one cheap pass, so that shards of it can be read on their own."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textlstm.config import FileFormat
from textlstm.corpus.class_folders import list_class_files
from textlstm.corpus.delimited import read_header, syntax_of
from textlstm.corpus.line_records import is_blank
from textlstm.corpus.parquet import count_parquet_rows
from textlstm.corpus.read_settings import ReadSettings
from textlstm.corpus.readers import kind_of_input
from textlstm.corpus.row_input import LineInput, ReadCounts, RowRange, RowStart
from textlstm.corpus.streams import FileState, check_unchanged, file_state
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
    is_folder = kind.format is FileFormat.folder
    state = None if is_folder else file_state(path)
    offsets: list[int] = []
    num_rows = 0
    source = LineInput(path, kind, settings)
    match kind.format:
        case FileFormat.folder:
            num_rows = len(list_class_files(path))
        case FileFormat.parquet:
            num_rows = count_parquet_rows(path)
        case FileFormat.csv | FileFormat.tsv:
            blank = ReadCounts() if len(read_header(source)) > 1 else None
            with source.lines() as lines:
                for number, row in enumerate(syntax_of(kind.format).read_rows(lines, name=source.name, blank=blank)):
                    if number % stride == 1 or stride == 1:
                        offsets.append(row.offset)
                    num_rows = number
            offsets = offsets[1:] if stride == 1 else offsets
        case _:
            skips_blank = kind.format is FileFormat.jsonl
            with source.lines() as lines:
                for line in lines:
                    if skips_blank and is_blank(line.data):
                        continue
                    if num_rows % stride == 0:
                        offsets.append(line.offset)
                    num_rows += 1
    check_unchanged(path, state)
    if num_rows == 0:
        raise InputError(f"{path}: has no data rows.")
    kept = np.array(offsets if source.can_seek else [], dtype=np.int64)
    return RowIndex(path, num_rows, stride, kept, state)
