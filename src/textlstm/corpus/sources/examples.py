"""From a record to an example: which of its values is the text, which the labels, which the id."""

import ast
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from textlstm.config import DataConfig, DataSource
from textlstm.corpus.rows.inputs import can_be_read_twice, expand_inputs
from textlstm.corpus.rows.probabilities import ProbabilitiesError, labels_of_probabilities, read_probabilities
from textlstm.corpus.rows.readers import read_records
from textlstm.corpus.rows.records import Record, Reject, text_of_name
from textlstm.corpus.rows.settings import STDIN, ReadSettings
from textlstm.corpus.rows.values import JsonNumber, JsonRowError, cell_text, is_missing, kind_of, parse_array

_INVISIBLE = "\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
"""Characters without width that are no white space: soft hyphen, zero-width space, joiners, direction marks, BOM."""


class Example(NamedTuple):
    """One usable row: text, labels and id as strings, and the record they came from."""

    text: str
    labels: tuple[str, ...]
    """One label, or any number in multi-label data; () where labels are neither needed nor there."""
    id: str
    record: Record
    weight: float | None = None
    """NaN where the value is no finite number of at least 0; None where rows have no weights."""
    probabilities: dict[str, float] | str | None = None
    """Chance of each label that is not 0; the reason where they cannot be used; None where the label is sure."""


class _RefusedError(Exception):
    """Why a value is not usable."""


def is_blank_text(text: str) -> bool:
    """Return whether `text` has nothing to read: empty, white space, zero-width characters."""
    return not text or not text.strip() or not text.translate(_DROP_INVISIBLE).strip()


_DROP_INVISIBLE = dict.fromkeys(map(ord, _INVISIBLE))


class ExampleReader:
    """Turns records into examples, or into rejects that say why not.

    With `settings.need_labels`, a row without a label is rejected; without, labels are read where the column is there
    and a row without one has labels (). Blank texts are rejected.
    """

    def __init__(self, settings: ReadSettings) -> None:
        """Read the columns that `settings` names."""
        self._settings = settings
        self._notes: dict[str, None] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """How labels in another form than the settings name were read, a line for each file and form."""
        return tuple(self._notes)

    def __call__(self, record: Record) -> Example | Reject:
        """Return the example of a record."""
        columns = self._settings.columns
        try:
            # The first fault is the reason of the reject: of the text, then of the labels, then of the id.
            text = _text(record, self._settings)
            if is_blank_text(text):
                raise _RefusedError(f"column {columns.text!r}: the text is empty or only white space")
            probabilities = self._probabilities(record)
            if probabilities is None:
                labels = self._labels(record)
            elif isinstance(probabilities, str):
                labels = ()
            else:
                labels = labels_of_probabilities(probabilities, several=columns.is_multi_label)
            row_id = _scalar_text(record, columns.id) if columns.id else str(record.number)
            weight = weight_of(record.fields.get(columns.weight)) if columns.weight else None
        except _RefusedError as refused:
            return Reject(record.file, record.number, record.offset, str(refused))
        return Example(text, labels, row_id, record, weight, probabilities)

    def _probabilities(self, record: Record) -> dict[str, float] | str | None:
        """Return the chance of each label, or why there is none; None where the row or the settings have none."""
        columns = self._settings.columns
        if not columns.probabilities:
            return None
        try:
            return read_probabilities(record.fields, columns.probabilities, several=columns.is_multi_label)
        except ProbabilitiesError as error:
            return str(error)

    def labels_of(self, record: Record) -> tuple[str, ...] | None:
        """Return the labels of a record whose text can be used; None where they are a reason to reject it."""
        try:
            return self._labels(record)
        except _RefusedError:
            return None

    def _labels(self, record: Record) -> tuple[str, ...]:
        settings, columns = self._settings, self._settings.columns
        column = columns.labels or columns.label
        # Rows that need no label may come from a file without the column.
        if not settings.need_labels and (not column or column not in record.fields):
            return ()
        value = _as_list(_value(record, column))
        if columns.is_multi_label:
            if isinstance(value, str):
                value = self._labels_of_cell(value, record)
            return _many_labels(value, settings)
        if isinstance(value, list):
            value = _only_label(value, settings)
            self._notes[
                f"{text_of_name(Path(record.file).name)}: column {column!r}: a list of one label counts as that label"
            ] = None
        return _one_label(value, settings)

    def _labels_of_cell(self, cell: str, record: Record) -> list[Any]:
        """Return the labels of a text cell: separated ones, a JSON list, or a list as Python writes it."""
        column, separator = self._settings.columns.labels, self._settings.columns.label_separator
        if separator:
            return cell.split(separator) if cell else []
        try:
            # JSON first, as the settings say; then the notation of Python, which pandas leaves in CSV files.
            return parse_array(cell)
        except JsonRowError:
            labels = _python_list(cell)
        if labels is None:
            remedy = f"set {self._settings.key_prefix}.label_separator if they are separated text"
            raise _RefusedError(f"column {column!r}: the labels are not a JSON list; {remedy}")
        self._notes[
            f"{text_of_name(Path(record.file).name)}: column {column!r}: lists as Python writes them are read"
        ] = None
        return labels


def text_to_label(record: Record, column: str) -> str:
    """Return the text of a row to label: "" where it is null or not there, as if the row had an empty cell."""
    value = record.fields.get(column)
    return value if isinstance(value, str) else ""


def text_problem(record: Record, settings: ReadSettings) -> str:
    """Return why the text of a row cannot be labelled; "" where it can, or where there is none."""
    if is_missing(record.fields.get(settings.columns.text)):
        return ""
    try:
        _text(record, settings)
    except _RefusedError as refused:
        return str(refused)
    return ""


def _text(record: Record, settings: ReadSettings) -> str:
    column = settings.columns.text
    value = _value(record, column)
    if not isinstance(value, str):
        raise _RefusedError(f"column {column!r}: the text is {kind_of(value)}, not a string")
    if len(value) > settings.max_chars:
        raise _RefusedError(
            f"column {column!r}: {len(value):,} characters; at most {settings.key_prefix}.max_chars="
            f"{settings.max_chars:,} are allowed"
        )
    return value


def _value(record: Record, column: str) -> object:
    """Return the value of `column`, None where it is null or NaN."""
    try:
        value = record.fields[column]
    except KeyError:
        raise _RefusedError(f"column {column!r} is missing in this row") from None
    return None if is_missing(value) else value


def _scalar_text(record: Record, column: str) -> str:
    value = _value(record, column)
    text = scalar_text(value)
    if text is None:
        raise _RefusedError(f"column {column!r}: the id is {kind_of(value)}")
    if not text:
        raise _RefusedError(f"column {column!r}: the id is empty")
    return text


def scalar_text(value: object) -> str | None:
    """Return a label or id as text: strings and JSON numbers verbatim, booleans `true`/`false`; else None."""
    if isinstance(value, str):
        return value
    if isinstance(value, JsonNumber):
        return value.source
    # Before numbers: a Python bool is an int as well.
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return None


def weight_of(value: object) -> float:
    """Return the weight of a row, NaN for what is none: the reader of all rows refuses the file then."""
    text = None if isinstance(value, bool) else scalar_text(value)
    try:
        weight = float(text or "nan")
    except ValueError:
        return math.nan
    return weight if 0 <= weight < math.inf else math.nan


def _as_list(value: object) -> object:
    """Return an Arrow list as a Python list, any other value as it is."""
    plain = value.as_py() if hasattr(value, "as_py") else value
    return plain if isinstance(plain, list) else value


def _one_label(value: object, settings: ReadSettings) -> tuple[str, ...]:
    column, label = settings.columns.label, scalar_text(value)
    if label:
        return (label,)
    if not settings.need_labels and (value is None or label == ""):
        return ()
    raise _RefusedError(f"column {column!r}: the label is {kind_of(value) if label is None else 'empty'}")


def _only_label(labels: list[object], settings: ReadSettings) -> object:
    """Return the label of a list of one, as doccano and other tools for annotation write it; None of an empty list."""
    if len(labels) > 1:
        column, key = settings.columns.label, settings.key_prefix
        raise _RefusedError(
            f"column {column!r}: {len(labels)} labels; set {key}.labels_column={column} for several a row"
        )
    return labels[0] if labels else None


_PYTHON_STRING = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_PYTHON_LIST = re.compile(rf"\[\s*(?:{_PYTHON_STRING}\s*(?:,\s*{_PYTHON_STRING}\s*)*,?\s*)?\]\Z")
"""A list of strings as Python writes it, and so pandas in a CSV cell. Strings without commas between them would be one
string to Python, and several to whoever wrote them with numpy: they are none of these."""


def _python_list(cell: str) -> list[Any] | None:
    """Return the strings of a list such as "['joy', 'anger']"; None where the cell is no such list."""
    # `literal_eval` would take other literals too, and join strings without a comma between them.
    if not _PYTHON_LIST.match(cell):
        return None
    try:
        labels: list[Any] = ast.literal_eval(cell)
    except (ValueError, SyntaxError):  # an escape that Python does not know
        return None
    return labels


def _many_labels(value: object, settings: ReadSettings) -> tuple[str, ...]:
    column = settings.columns.labels
    if not isinstance(value, list):
        raise _RefusedError(f"column {column!r}: the labels are {kind_of(value)}, not a list")
    labels = [None if is_missing(item) else scalar_text(item) for item in value]
    if any(not label for label in labels):
        raise _RefusedError(f"column {column!r}: one of the labels is empty, null or not a string")
    named = tuple(label for label in labels if label)
    if len(set(named)) != len(named):
        raise _RefusedError(f"column {column!r}: a label occurs twice in this row")
    return named


# The columns of labelled files beside text, labels and id, for rows that are already prepared.

MAX_VALUES = 20
"""Columns with more different values are left out: nobody reads that many slices."""


def read_extra_columns(data: DataConfig, files: Sequence[str], numbers: Sequence[int]) -> dict[str, list[str]]:
    """Return columns with 2 to `MAX_VALUES` different values, each as N strings; a missing value is "".

    Args:
        data: names the files; only `data.source=files` has other columns.
        files: (N,) name of the file of each row, without its folder. Names that two files share give no columns.
        numbers: (N,) number of each row in its file.

    Raises:
        InputError: a file is gone or cannot be read.
    """
    if data.source is not DataSource.files:
        return {}
    wanted = set(files)
    # The files are found again, split by split: two splits may share a file or have different formats. Rows are matched
    # to them by name and number.
    paths: dict[Path, str] = {}
    for given in (data.train, data.validation, data.test):
        patterns = [pattern for pattern in given if pattern != str(STDIN)]  # gone when it has been read
        found_files = expand_inputs(patterns) if patterns else []
        # What a pipe held is gone as well.
        found_files = [path for path in found_files if can_be_read_twice(path)]
        paths |= {path: name for path in found_files if (name := text_of_name(path.name)) in wanted}
    # Rows know the name of their file without its folder: two files of one name cannot be told apart.
    if len(set(paths.values())) < len(paths):
        return {}
    settings = ReadSettings.for_data(data)
    places = {key: place for place, key in enumerate(zip(files, numbers, strict=True))}
    found: dict[str, list[str]] = {}
    values: dict[str, set[str]] = {}
    for path in sorted(set(paths)):
        for record in read_records(path, settings):
            place = places.get((paths[path], record.number))
            if place is None or not isinstance(record, Record):
                continue
            for name, value in record.fields.items():
                # A column with too many values takes no more of them, and is left out at the end.
                if name in settings.required_columns() or len(values.setdefault(name, set())) > MAX_VALUES:
                    continue
                text = cell_text(value)
                values[name].add(text)
                found.setdefault(name, [""] * len(places))[place] = text
    return {name: column for name, column in found.items() if 2 <= len(set(column)) <= MAX_VALUES}
