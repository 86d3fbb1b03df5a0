"""From a record to an example: which of its values is the text, which the labels, which the id."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from textlstm.config import DataConfig, DataSource
from textlstm.corpus.rows.inputs import expand_inputs
from textlstm.corpus.rows.readers import read_records
from textlstm.corpus.rows.records import Record, Reject
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


ExampleReader = Callable[[Record], Example | Reject]


class _RefusedError(Exception):
    """Why a value is not usable."""


def is_blank_text(text: str) -> bool:
    """Return whether `text` has nothing to read: empty, white space, zero-width characters."""
    return not text or not text.strip() or not text.translate(_DROP_INVISIBLE).strip()


_DROP_INVISIBLE = dict.fromkeys(map(ord, _INVISIBLE))


def example_reader(settings: ReadSettings) -> ExampleReader:
    """Return the function that turns a record into an example, or into a reject that says why not.

    With `settings.need_labels`, a row without a label is rejected; without, labels are read where the column is there
    and a row without one has labels (). Blank texts are rejected.
    """
    columns = settings.columns
    text_column, id_column = columns.text, columns.id

    def read(record: Record) -> Example | Reject:
        try:
            text = _text(record, settings)
            if is_blank_text(text):
                raise _RefusedError(f"column {text_column!r}: the text is empty or only white space")
            labels = _labels(record, settings)
            row_id = _scalar_text(record, id_column) if id_column else str(record.number)
        except _RefusedError as refused:
            return Reject(record.file, record.number, record.offset, str(refused))
        return Example(text, labels, row_id, record)

    return read


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
    """Return a label or id as text: strings and JSON numbers as they stand, booleans `true`/`false`; else None."""
    if isinstance(value, str):
        return value
    if isinstance(value, JsonNumber):
        return value.source
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return None


def _labels(record: Record, settings: ReadSettings) -> tuple[str, ...]:
    columns = settings.columns
    column = columns.labels or columns.label
    if not settings.need_labels and (not column or column not in record.fields):
        return ()
    value = _value(record, column)
    if columns.is_multi_label:
        return _many_labels(value, settings)
    label = scalar_text(value)
    if label is None:
        if value is None and not settings.need_labels:
            return ()
        raise _RefusedError(f"column {column!r}: the label is {kind_of(value)}")
    if label:
        return (label,)
    if settings.need_labels:
        raise _RefusedError(f"column {column!r}: the label is empty")
    return ()


def _many_labels(value: object, settings: ReadSettings) -> tuple[str, ...]:
    column, separator = settings.columns.labels, settings.columns.label_separator
    if isinstance(value, str):
        if separator:
            value = value.split(separator) if value else []
        else:
            try:
                value = parse_array(value)
            except JsonRowError:
                remedy = f"set {settings.key_prefix}.label_separator if they are separated text"
                raise _RefusedError(f"column {column!r}: the labels are not a JSON list; {remedy}") from None
    elif hasattr(value, "as_py"):  # an Arrow list
        value = value.as_py()
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
    given = (*data.train, *data.validation, *data.test)
    patterns = [pattern for pattern in given if pattern != str(STDIN)]  # gone when it has been read
    paths = [path for path in expand_inputs(patterns) if path.name in wanted] if patterns else []
    if len({path.name for path in paths}) < len(set(paths)):
        return {}
    settings = ReadSettings.for_data(data)
    places = {key: place for place, key in enumerate(zip(files, numbers, strict=True))}
    found: dict[str, list[str]] = {}
    values: dict[str, set[str]] = {}
    for path in sorted(set(paths)):
        for record in read_records(path, settings):
            place = places.get((path.name, record.number))
            if place is None or not isinstance(record, Record):
                continue
            for name, value in record.fields.items():
                if name in settings.required_columns() or len(values.setdefault(name, set())) > MAX_VALUES:
                    continue
                text = cell_text(value)
                values[name].add(text)
                found.setdefault(name, [""] * len(places))[place] = text
    return {name: column for name, column in found.items() if 2 <= len(set(column)) <= MAX_VALUES}
