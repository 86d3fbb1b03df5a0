"""The columns of labelled files beside text, labels and id, for rows that are already prepared."""

from collections.abc import Sequence

from textlstm.config import DataConfig, DataSource
from textlstm.corpus.files.cell_text import cell_text
from textlstm.corpus.files.formats import STDIN
from textlstm.corpus.files.inputs import expand_inputs
from textlstm.corpus.files.read_settings import ReadSettings
from textlstm.corpus.files.readers import read_records
from textlstm.corpus.files.records import Record

MAX_VALUES = 20
"""Columns with more different values are left out: nobody reads that many slices."""


def read_other_columns(data: DataConfig, files: Sequence[str], numbers: Sequence[int]) -> dict[str, list[str]]:
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
