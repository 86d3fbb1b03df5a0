"""Labelled rows through the `datasets` library: a name on the hub, or a folder that `save_to_disk` wrote."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from textlstm.config import DataConfig
from textlstm.corpus.prepared import Split
from textlstm.corpus.rows.parquet import class_name
from textlstm.corpus.rows.records import Record
from textlstm.corpus.rows.settings import ReadSettings, header_problems
from textlstm.errors import InputError

SPLIT_NAMES = {
    Split.train: ("train", "training"),
    Split.validation: ("validation", "valid", "val", "dev"),
    Split.test: ("test", "testing"),
}
"""Names of the splits on the hub; of several, the first that a data set has is taken."""

BATCH_ROWS = 1000


class HubSplit:
    """The rows of one split of a data set."""

    def __init__(self, dataset: Any, name: str, settings: ReadSettings) -> None:
        """Keep the columns of `dataset` (a `datasets.Dataset`) that count.

        Raises:
            InputError: columns are missing; one line each.
        """
        problems = header_problems(dataset.column_names, settings, name=name)
        if problems:
            raise InputError(*problems)
        self.name = name
        self._dataset = dataset.select_columns(list(settings.required_columns())).with_format("arrow")
        self._class_names = {
            column: names for column, feature in dataset.features.items() if (names := _class_names(feature))
        }

    def digest(self) -> str:
        """Return one sha256 of the columns that count and of the names of their classes."""
        # Rows are hashed with class names for class numbers, as they are read later.
        digest = hashlib.sha256(repr(sorted(self._class_names.items())).encode())
        digest.update(repr(self._dataset.column_names).encode())
        for row in self._rows():
            digest.update(repr(row).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def has_labels(self, label_column: str) -> bool:
        """Return False where every label is -1 or null, as in test splits that keep their labels secret."""
        return label_column not in self._class_names or any(row[label_column] is not None for row in self._rows())

    def records(self) -> Iterator[Record]:
        """Yield the rows verbatim, with classes by name."""
        for number, row in enumerate(self._rows(), 1):
            yield Record(file=self.name, number=number, offset=-1, fields=row)

    def _rows(self) -> Iterator[dict[str, object]]:
        for table in self._dataset.iter(BATCH_ROWS):
            for row in _as_table(table).to_pylist():
                for column, names in self._class_names.items():
                    # Labels appear as names everywhere: in the digest, in checks and in records.
                    if column in row:
                        row[column] = class_name(row[column], names)
                yield row


def open_hub(data: DataConfig) -> dict[Split, HubSplit]:
    """Return the splits of `data.name` that are there.

    Raises:
        InputError: it cannot be reached or loaded, has no train split, or lacks a column.
    """
    found = _load(data)
    settings = ReadSettings.for_data(data)
    splits: dict[Split, HubSplit] = {}
    problems: list[str] = []
    for split, names in SPLIT_NAMES.items():
        name = next((name for name in names if name in found), None)
        if name is None:
            continue
        try:
            splits[split] = HubSplit(found[name], f"{data.name}[{name}]", settings)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
    if Split.train not in splits:
        listed = ", ".join(repr(name) for name in found)
        raise InputError(f"data.name={data.name!r} has no split 'train'; its splits are {listed}.")
    return splits


def _load(data: DataConfig) -> Mapping[str, Any]:
    import datasets

    folder = Path(data.name)
    try:
        if folder.is_dir():
            loaded = datasets.load_from_disk(data.name)
        else:
            loaded = datasets.load_dataset(data.name, data.config or None)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise InputError(_why(data, error)) from error
    # A folder may hold one `Dataset` without splits, which counts as train.
    if isinstance(loaded, datasets.DatasetDict):
        return dict(loaded)
    return {"train": loaded}


def _why(data: DataConfig, error: Exception) -> str:
    from datasets.exceptions import DatasetNotFoundError

    name = f"data.name={data.name!r}"
    reason = " ".join(str(error).split())[:300]
    if Path(data.name).is_dir():
        return f"{name}: is no folder that datasets' save_to_disk wrote ({reason}). Use data=files for files of rows."
    if isinstance(error, DatasetNotFoundError):
        return f"{name}: there is no such data set on the hub, or it is private ({reason})."
    # `datasets` raises this, among others, where a data set has several configurations and none is named.
    if isinstance(error, ValueError):
        return f"{name}: {reason} Set data.config."
    return (
        f"{name}: the hub cannot be reached and the data set is not in the local cache ({reason}). Where there is a "
        f"network, run datasets.load_dataset({data.name!r}).save_to_disk('FOLDER'), copy the folder, and set "
        "data.name=FOLDER."
    )


def _class_names(feature: Any) -> tuple[str, ...]:
    """Return the names of a ClassLabel, or of a list of them; () for other columns."""
    inner = getattr(feature, "feature", feature)
    names = getattr(inner, "names", None)
    return tuple(names) if names and hasattr(inner, "int2str") else ()


def _as_table(batch: Any) -> pa.Table:
    return batch if isinstance(batch, pa.Table) else pa.table(batch)
