"""The reader of every format: one file in, its rows out, verbatim and streaming."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, assert_never

import numpy as np

from textlstm.config import FileFormat
from textlstm.corpus.rows.class_folders import class_folder_columns, list_class_files, read_class_folder
from textlstm.corpus.rows.delimited import read_delimited, read_header, take_header
from textlstm.corpus.rows.json_lines import is_blank, read_first_keys, read_jsonl, read_text
from textlstm.corpus.rows.lines import LineInput, ReadCounts, RowRange, RowStart
from textlstm.corpus.rows.parquet import count_parquet_rows, read_parquet, read_parquet_schema
from textlstm.corpus.rows.records import Reject, Rows, text_of_name
from textlstm.corpus.rows.settings import STDIN, Compression, FileKind, ReadSettings, header_problems, kind_by_name
from textlstm.corpus.rows.streams import FileState, check_unchanged, file_state
from textlstm.corpus.rows.workbooks import read_workbook, read_workbook_header
from textlstm.errors import InputError

T = TypeVar("T")


def kind_of_input(path: Path, settings: ReadSettings) -> FileKind:
    """Return format and compression of `path`; a folder is a folder of class folders.

    Raises:
        InputError: the name tells no format.
    """
    if path != STDIN and path.is_dir():
        return FileKind(FileFormat.folder, Compression.none)
    if settings.format is FileFormat.folder:
        raise InputError(f"{path}: is not a folder. Set {settings.key_prefix}.format=auto.")
    return kind_by_name(path, format=settings.format, key_prefix=settings.key_prefix, is_read=True)


def read_columns(path: Path, settings: ReadSettings) -> tuple[str, ...]:
    """Return the columns of `path` in the file's order; those of the first rows together for JSONL.

    Raises:
        InputError: as `read_records`.
    """
    kind = kind_of_input(path, settings)
    source = LineInput(path, kind, settings)
    match kind.format:
        case FileFormat.csv | FileFormat.tsv:
            return read_header(source).columns
        case FileFormat.jsonl:
            return read_first_keys(source)
        case FileFormat.parquet:
            return tuple(read_parquet_schema(path, settings).names)
        case FileFormat.xlsx:
            return read_workbook_header(path, settings).columns
        case FileFormat.text:
            return (settings.columns.text,)
        case FileFormat.folder:
            return class_folder_columns(settings)
        case FileFormat.auto:
            raise AssertionError("a format was found by name")
        case _:
            assert_never(kind.format)


def reading_notes(path: Path, settings: ReadSettings) -> tuple[str, ...]:
    """Return how a readable file differs from what its name says, and how it is read; () for a pipe.

    Raises:
        InputError: as `read_records`.
    """
    kind = kind_of_input(path, settings)
    if kind.format is FileFormat.xlsx:
        return read_workbook_header(path, settings).notes
    source = LineInput(path, kind, settings)
    if source.is_regular and kind.format in (FileFormat.csv, FileFormat.tsv):
        return read_header(source).notes
    return (f"{text_of_name(path.name)}: is one JSON array; each of its elements is a row",) if source.is_array else ()


def read_records(
    path: Path, settings: ReadSettings, *, rows: RowRange | None = None, counts: ReadCounts | None = None
) -> Rows:
    """Yield every row of `path`, or `rows` of it, verbatim or as a reject; memory is bounded.

    `counts` is kept up to date while rows are yielded.

    Raises:
        InputError: the file is missing, damaged, not of its format, without required columns or data rows, or changed
            while it was read; one line a problem.
        StorageError: reading fails.
    """
    counts = counts if counts is not None else ReadCounts()
    kind = kind_of_input(path, settings)
    # Compared with the state after the last row; folders and pipes have none.
    before = None if kind.format is FileFormat.folder else file_state(path)
    if rows is None:
        with closing(_open_rows(path, kind, settings, rows=None, counts=counts)) as found:
            yield from found
        check_unchanged(path, before)
        if counts.rows == 0:
            raise InputError(f"{path}: has no data rows.")
        return
    # A range: read on from the nearest known row, and leave out those before and after it.
    check_unchanged(path, rows.state)
    # The reader counts rows outside of the range too, so it gets counts that are thrown away.
    with closing(_open_rows(path, kind, settings, rows=rows, counts=ReadCounts())) as found:
        for row in found:
            if row.number > rows.last:
                break
            if row.number >= rows.first:
                counts.rows += 1
                counts.rejects += isinstance(row, Reject)
                yield row
    check_unchanged(path, before)


def read_all(paths: Sequence[Path], settings: ReadSettings) -> Rows:
    """Yield the rows of all `paths` in turn; the problems of all files are reported together.

    Raises:
        InputError: at the end, with the problems of all files.
        StorageError: reading fails.
    """
    yield from read_in_turn(paths, lambda path: read_records(path, settings))


def read_in_turn(paths: Sequence[Path], read: Callable[[Path], Iterator[T]]) -> Iterator[T]:
    """Yield what `read` yields for each of `paths`; the problems of all files are reported together.

    Raises:
        InputError: at the end, with the problems of all files.
    """
    problems: list[str] = []
    for path in paths:
        try:
            yield from read(path)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)


def _open_rows(
    path: Path, kind: FileKind, settings: ReadSettings, *, rows: RowRange | None, counts: ReadCounts
) -> Rows:
    source = LineInput(path, kind, settings)
    # Lines that cannot seek are read from row 1; `read_records` leaves out the rows before the range.
    start = rows.start if rows is not None and source.can_seek else None
    first, last = (rows.first, rows.last) if rows is not None else (1, None)
    match kind.format:
        case FileFormat.csv | FileFormat.tsv:
            return read_delimited(source, start=start, counts=counts)
        case FileFormat.jsonl:
            return read_jsonl(source, start=start, counts=counts)
        case FileFormat.parquet:
            read_parquet_schema(path, settings)
            return read_parquet(path, settings, first=first, last=last, counts=counts)
        case FileFormat.xlsx:
            return read_workbook(path, settings, first=first, counts=counts)
        case FileFormat.text:
            if settings.need_labels:
                raise InputError(
                    f"{path}: plain text has no labels. Give CSV, TSV, JSONL or Parquet, or a folder of class folders."
                )
            _check_columns((settings.columns.text,), source)
            return read_text(source, start=start, counts=counts)
        case FileFormat.folder:
            _check_columns(class_folder_columns(settings), source)
            list_class_files(path)
            return read_class_folder(path, settings, first=first, counts=counts)
        case FileFormat.auto:
            raise AssertionError("a format was found by name")
        case _:
            assert_never(kind.format)


def _check_columns(columns: tuple[str, ...], source: LineInput) -> None:
    problems = header_problems(columns, source.settings, name=source.name)
    if problems:
        raise InputError(*problems)


# Where rows begin in a file, found in one cheap pass, so that shards of it can be read on their own.


@dataclass(frozen=True, slots=True)
class RowIndex:
    """Rows of one file: how many (records and rejects), and where every `stride`-th begins."""

    path: Path
    num_rows: int
    stride: int
    offsets: np.ndarray
    """(ceil((num_rows - first + 1) / stride),) int64: bytes before rows first, first + stride, ...; empty where reading
    cannot seek."""
    state: FileState | None
    first: int = 1
    """Rows before this one were not looked at."""

    def rows(self, first: int, last: int) -> RowRange:
        """Return how to read rows `first` to `last`, both included, as `read_records(..., rows=...)` takes it.

        Example: with stride 1000, rows(2500, 2600) reads on from row 2001.
        """
        start = None
        if len(self.offsets) and first >= self.first:
            place = (first - self.first) // self.stride
            start = RowStart(place * self.stride + self.first, int(self.offsets[place]))
        return RowRange(first, min(last, self.num_rows), start, self.state)


def index_rows(path: Path, settings: ReadSettings, *, stride: int = 1000, start: RowStart | None = None) -> RowIndex:
    """Return where the rows of `path` begin; values are not looked at, nor rows before a known `start`.

    Raises:
        InputError: as `read_records` for whole files; rows are not checked.
    """
    kind = kind_of_input(path, settings)
    state = None if kind.format is FileFormat.folder else file_state(path)
    source = LineInput(path, kind, settings)
    offsets: list[int] = []
    # Where reading cannot seek, rows are counted from the first one.
    begin = start if start is not None and source.can_seek else RowStart(1, 0)
    num_rows = 0
    match kind.format:
        case FileFormat.folder:
            num_rows = len(list_class_files(path))
        case FileFormat.parquet:
            num_rows = count_parquet_rows(path)
        case FileFormat.xlsx:
            num_rows = sum(1 for _ in read_workbook(path, settings, first=1, counts=ReadCounts()))
        case _:
            for offset in _row_offsets(source, begin):
                if num_rows % stride == 0:
                    offsets.append(offset)
                num_rows += 1
            num_rows += begin.number - 1
    # The state goes with the offsets: whoever reads a range later refuses a file that has changed.
    check_unchanged(path, state)
    if num_rows == 0:
        raise InputError(f"{path}: has no data rows.")
    found = np.array(offsets if source.can_seek else [], dtype=np.int64)
    return RowIndex(path, num_rows, stride, found, state, begin.number if len(found) else 1)


def _row_offsets(source: LineInput, start: RowStart) -> Iterator[int]:
    """Yield the byte at which each row of a file of lines begins, from `start` on."""
    is_delimited = source.kind.format in (FileFormat.csv, FileFormat.tsv)
    header = read_header(source) if is_delimited and start.offset else None
    with source.lines(start.offset) as lines:
        match source.kind.format:
            case FileFormat.csv | FileFormat.tsv:
                header = header or take_header(lines, source)  # in one go, since a pipe cannot be opened twice
                # Blank lines count as in `read_delimited`; otherwise the offsets would be those of other rows.
                blank = ReadCounts() if len(header.columns) > 1 else None
                rows = header.syntax.read_rows(lines, name=source.name, number=start.number, blank=blank)
                yield from (row.offset for row in rows)
            case FileFormat.jsonl:
                yield from (line.offset for line in lines if not is_blank(line.data))
            case _:
                yield from (line.offset for line in lines)
