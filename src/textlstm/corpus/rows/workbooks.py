"""Excel workbooks (.xlsx): rows of the first sheet, streamed in and out; the owner of openpyxl."""

import io
import math
import re
import shutil
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from xml.etree.ElementTree import ParseError

from textlstm.corpus.rows.lines import ReadCounts
from textlstm.corpus.rows.records import Record, Reject, Rows, text_of_name
from textlstm.corpus.rows.settings import ReadSettings, header_problems
from textlstm.corpus.rows.streams import file_state
from textlstm.corpus.rows.values import JsonNumber, cell_text, plain_value
from textlstm.errors import InputError

MAX_ROWS = 1_048_576
"""Rows of a sheet, the header among them."""
MAX_CELL_CHARS = 32_767
_EXPANSION_GRACE = 1 << 20
"""Unpacked bytes that are free of the expansion cap, so that tiny workbooks never trip over it."""

# Reading: the first row names the columns; formulas have the value that was last computed.


class Sheet(NamedTuple):
    """An open sheet."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[object, ...]]
    """The cells of each row after the header, without empty ones at its end; rows of empty cells alone are left out."""
    notes: tuple[str, ...]


def read_workbook_header(path: Path, settings: ReadSettings) -> Sheet:
    """Return columns and notes of a workbook; its rows are not read.

    Raises:
        InputError: It is no whole workbook, openpyxl is missing, or columns are missing or doubled.
    """
    with _open_sheet(path, settings) as sheet:
        return sheet._replace(rows=iter(()))


def read_workbook(path: Path, settings: ReadSettings, *, first: int, counts: ReadCounts) -> Rows:
    """Yield the rows of the first sheet from row `first` on; dates and times are ISO text.

    Raises:
        InputError: As `read_workbook_header`.
    """
    name, text_column = str(path), settings.columns.text
    with _open_sheet(path, settings) as sheet:
        width = len(sheet.columns)
        for number, cells in enumerate(sheet.rows, 1):
            if number < first:
                continue
            counts.rows += 1
            if len(cells) > width:
                counts.rejects += 1
                yield Reject(name, number, -1, f"has {len(cells)} cells, but the header has {width}")
                continue
            values = dict.fromkeys(sheet.columns) | dict(zip(sheet.columns, map(_value, cells), strict=False))
            # A text such as 2024 is a number to Excel.
            if values.get(text_column) is not None:
                values[text_column] = cell_text(values[text_column])
            yield Record(name, number, -1, values)


@contextmanager
def _open_sheet(path: Path, settings: ReadSettings) -> Iterator[Sheet]:
    # Missing and empty files and folders are refused here, with messages of their own.
    if file_state(path) is None:
        raise InputError(f"{path}: a workbook cannot be read from a pipe. Write it to a file.")
    try:
        import openpyxl
    except ImportError as error:
        raise InputError(f"{path}: workbooks need openpyxl. Install textlstm[excel].") from error
    try:
        _refuse_bomb(path, settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # styles and validations that openpyxl does not know
            workbook = openpyxl.load_workbook(path, read_only=True, data_only=True)
        with closing(workbook):
            sheet: Any = workbook.worksheets[0]
            # The size that a workbook tells of its sheet may be wrong.
            sheet.reset_dimensions()
            rows = _filled(sheet.iter_rows(values_only=True))
            columns = tuple(map(cell_text, map(_value, next(rows, ()))))
            if problems := _unnamed(columns, path) or header_problems(columns, settings, name=str(path)):
                raise InputError(*problems)
            others = len(workbook.worksheets) - 1
            name = text_of_name(path.name)
            notes = (f"{name}: the first sheet, {sheet.title!r}, is read, not the {others} after it",) if others else ()
            yield Sheet(columns, rows, notes)
    except (zipfile.BadZipFile, ParseError, KeyError, IndexError, ValueError, EOFError, zlib.error) as error:
        reason = str(error).split("\n", 1)[0].rstrip(".")[:200]
        raise InputError(
            f"{path}: is not a whole Excel workbook ({reason}). Get a fresh copy, without a password."
        ) from error


def _filled(rows: Iterator[tuple[object, ...]]) -> Iterator[tuple[object, ...]]:
    """Yield the rows that have a value, each up to its last one: formats alone make rows and cells without value."""
    for cells in rows:
        width = len(cells)
        while width and cells[width - 1] in (None, ""):
            width -= 1
        if width:
            yield cells[:width]


def _unnamed(columns: Sequence[str], path: Path) -> list[str]:
    if not columns:
        return [f"{path}: its first sheet is empty. Move the sheet with the rows to the front."]
    return [
        f"{path}: field {place} of the first row is empty, which names the columns. Fill it."
        for place, column in enumerate(columns, 1)
        if not column
    ]


def _value(value: object) -> object:
    """Return the value of a cell as text, number, truth value or None."""
    if isinstance(value, str):
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value)
    if isinstance(value, datetime) and value.time() == time():
        value = value.date()  # Excel has no dates without a time
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return plain_value(value)


def _refuse_bomb(path: Path, settings: ReadSettings) -> None:
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    packed_size = path.stat().st_size
    if size > packed_size * settings.max_expansion + _EXPANSION_GRACE:
        raise InputError(
            f"{path}: unpacks to more than {settings.max_expansion} times its size of {packed_size:,} bytes. "
            "If it is no bomb, save it as CSV or set data.max_expansion."
        )


# Writing: the same rows give the same bytes. Texts are never formulas.

_TO_ESCAPE = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
"""What XML cannot hold, and the underscore of what looks like an escape."""
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_LARGEST_INTEGER = 10**15
"""Excel keeps 15 digits of a number; a longer one is written as text."""


def oversized_cell(fields: Mapping[str, object]) -> str:
    """Return why a row does not fit into a sheet; "" where it does."""
    for column, value in fields.items():
        # openpyxl would cut the rest off.
        if _number(value) is None and (size := len(_escaped(cell_text(value)))) > MAX_CELL_CHARS:
            return f"column {column!r}: {size:,} characters; a cell of Excel holds {MAX_CELL_CHARS:,}"
    return ""


class WorkbookWriter:
    """Rows of one sheet, below a row with the names of the columns."""

    def __init__(self, stream: BinaryIO, *, columns: Sequence[str]) -> None:
        """Write to `stream`, which need not seek, when the writer is closed.

        Raises:
            InputError: openpyxl is missing.
        """
        try:
            import openpyxl
        except ImportError as error:
            raise InputError("workbooks (.xlsx) need openpyxl. Install textlstm[excel].") from error
        self._stream = stream
        self._columns = tuple(columns)
        self._workbook = openpyxl.Workbook(write_only=True)
        self._sheet: Any = self._workbook.create_sheet("rows")
        self._append(self._columns)

    def write(self, fields: Mapping[str, object]) -> None:
        """Add one row; columns that `fields` lacks are empty."""
        self._append([fields.get(column) for column in self._columns])

    def close(self) -> None:
        """Write the workbook."""
        from openpyxl.writer.excel import ExcelWriter

        # The time of writing would make other bytes of the same rows.
        properties = self._workbook.properties
        properties.created = properties.modified = datetime(1980, 1, 1, tzinfo=UTC).replace(tzinfo=None)
        with _TimelessZip(self._stream, "w", zipfile.ZIP_DEFLATED) as archive:
            ExcelWriter(self._workbook, archive).write_data()

    def _append(self, values: Sequence[object]) -> None:
        self._sheet.append([self._cell(value) for value in values])

    def _cell(self, value: object) -> object:
        from openpyxl.cell import WriteOnlyCell

        number = _number(value)
        if number is not None:
            return number
        text = cell_text(value)
        if not text:
            return None
        cell = WriteOnlyCell(self._sheet, value=_escaped(text))
        cell.data_type = "s"  # openpyxl takes a text that begins with = for a formula
        return cell


def _number(value: object) -> int | float | bool | None:
    """Return the number or truth value that a cell can hold without loss; None for all else."""
    if isinstance(value, JsonNumber):
        is_integer = value.source.lstrip("-").isdigit()
        value = int(value.source) if is_integer else float(value.source)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < _LARGEST_INTEGER else None
    return value if isinstance(value, float) and math.isfinite(value) else None


def _escaped(text: str) -> str:
    r"""Return `text` with control characters, which XML cannot hold, as Excel writes them: `\x01` is `_x0001_`."""
    return _TO_ESCAPE.sub(lambda found: f"_x{ord(found[0]):04X}_", text)


class _TimelessZip(zipfile.ZipFile):
    """An archive without times."""

    def writestr(self, zinfo_or_arcname: Any, data: Any, compress_type: Any = None, compresslevel: Any = None) -> None:
        """Write bytes under a name."""
        super().writestr(self._info(zinfo_or_arcname), data, compress_type, compresslevel)

    def write(self, filename: Any, arcname: Any = None, compress_type: Any = None, compresslevel: Any = None) -> None:
        """Write a file as `arcname`, packed as the archive says."""
        del compress_type, compresslevel
        info = self._info(arcname)
        info.file_size = Path(filename).stat().st_size
        with Path(filename).open("rb") as content, self.open(info, "w") as target:
            shutil.copyfileobj(content, target, io.DEFAULT_BUFFER_SIZE)

    def _info(self, name: Any) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(str(name))
        info.compress_type = self.compression
        return info
