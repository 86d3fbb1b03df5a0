"""`textlstm merge`: reviewed rows join the training rows, each with where its label comes from."""

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textlstm.config import FileFormat, MergeConfig
from textlstm.corpus.rows.inputs import can_be_read_twice, expand_inputs, kept_copy
from textlstm.corpus.rows.parquet import class_names, is_text, read_parquet_schema
from textlstm.corpus.rows.readers import kind_of_input, read_columns, read_records
from textlstm.corpus.rows.records import Record
from textlstm.corpus.rows.settings import STDIN, ColumnNames, ReadSettings
from textlstm.corpus.rows.values import cell_text, plain_value
from textlstm.corpus.sources.examples import ExampleReader, is_blank_text, text_to_label
from textlstm.errors import InputError
from textlstm.figure_text import counted
from textlstm.labelling.corrections.new_file import new_file
from textlstm.labelling.corrections.review import CORRECT_COLUMN, SOURCE_COLUMN

if TYPE_CHECKING:
    import pyarrow as pa

PROVENANCE_COLUMN = "provenance"
"""Added to the training rows: the labelled file, row and model that a label was reviewed in; empty for other rows."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of the reviewed rows."""

    output: str
    num_rows: int
    """Rows of the new training file."""
    num_added: int
    num_corrected: int
    """Training rows whose label was replaced."""
    num_known: int
    """Reviewed rows that the training file had already."""
    num_empty: int
    """Rows whose label was not filled in."""

    def lines(self) -> list[str]:
        """Return lines for a person."""
        return [
            f"{self.output}: {counted(self.num_rows, 'row')}, {self.num_added:,} added, {self.num_corrected:,} with "
            f"another label than before, {self.num_known:,} there already, {self.num_empty:,} not filled in",
        ]


@dataclass(frozen=True, slots=True)
class _Correction:
    label: str
    source: str


def merge_reviewed(config: MergeConfig) -> Merged:
    """Write the training rows of `config.train` and the filled rows of `config.reviewed` into `config.output`.

    A training row of the same text gets the reviewed label; other reviewed rows are added at the end. To merge the same
    rows again changes nothing.

    Raises:
        InputError: A file cannot be used, a label is unknown, two reviews of a text differ, or the output exists; all
            that is wrong.
        StorageError: The output cannot be written.
    """
    if STDIN in map(Path, (config.train, config.output, *config.reviewed)):
        raise InputError("-: standard input and output cannot be merged; name a file")
    given = Path(config.train).expanduser()
    reviewed = expand_inputs(config.reviewed)
    output = new_file(config.output, key="output", overwrite=config.overwrite, read=[given, *reviewed])
    # The rows are read several times, which a pipe does not give.
    train = given if can_be_read_twice(given) else kept_copy(given)
    with _own_settings({"encoding": "encoding"}):
        rows = _TrainingRows(train, config)
    with _own_settings({"text_column": "review_text_column", "encoding": "review_encoding"}):
        corrections, num_empty = _corrections(config, reviewed, rows.labels)
    num_rows = num_corrected = num_known = 0
    left = dict(corrections)
    schema = _schema(train, rows) if output.format is FileFormat.parquet else None
    # A list of one label is read where it is a list, and not where it is the text of a cell.
    keeps_lists = schema is not None or output.format is FileFormat.jsonl
    as_label = rows.as_label if keeps_lists else str
    with output.writer(rows.columns, schema=schema) as writer:
        for text, label, fields in rows:
            row = {
                PROVENANCE_COLUMN: "",
                **fields,
                **({config.label_column: label} if label and not keeps_lists else {}),
            }
            correction = corrections.get(text)
            if correction is not None:
                left.pop(text, None)
                if correction.label == label:
                    num_known += 1
                else:
                    num_corrected += 1
                    row |= {config.label_column: as_label(correction.label)}
                    row |= {PROVENANCE_COLUMN: f"{correction.source}, was {label or 'without a label'}"}
            writer.write(row)
            num_rows += 1
        for text, correction in left.items():
            added = {config.text_column: text, config.label_column: as_label(correction.label)}
            writer.write({**added, PROVENANCE_COLUMN: correction.source})
    return Merged(str(output.path), num_rows + len(left), len(left), num_corrected, num_known, num_empty)


class _TrainingRows:
    """The rows of a training file, each time from the first: text, label ("" where it cannot be used), all columns."""

    def __init__(self, path: Path, config: MergeConfig) -> None:
        """Read the file once for its labels, so that a typing error in a review is found before anything is written.

        Raises:
            InputError: The file cannot be read, or one of its rows.
        """
        columns = ColumnNames(text=config.text_column, label=config.label_column)
        self._path = path
        self.reading = ReadSettings(encoding=config.encoding, columns=columns, need_labels=True)
        self._example = ExampleReader(self.reading)
        self.labels: Counter[str] = Counter()
        self._has_lists = False
        # Rows of JSONL differ in their columns.
        found = dict.fromkeys(read_columns(path, self.reading))
        for _, label, fields in self:
            self.labels[label] += 1
            found.update(dict.fromkeys(fields))
        del self.labels[""]
        self.columns = list(found | {PROVENANCE_COLUMN: None})

    def __iter__(self) -> Iterator[tuple[str, str, Mapping[str, object]]]:
        for row in read_records(self._path, self.reading):
            if not isinstance(row, Record):
                raise InputError(f"{row.file}:{row.number}: {row.reason}; mend the row before rows are merged")
            label = self._example.labels_of(row)
            value = row.fields.get(self.reading.columns.label)
            self._has_lists |= bool(label) and not isinstance(value, str) and isinstance(plain_value(value), list)
            yield text_to_label(row, self.reading.columns.text), label[0] if label else "", row.fields

    def as_label(self, label: str) -> str | list[str]:
        """Return a label as the file writes it: tools for annotation write a list of one."""
        return [label] if self._has_lists else label


def _schema(train: Path, rows: _TrainingRows) -> "pa.Schema | None":
    """Return the columns of a Parquet training file with their types and metadata; None of another file."""
    import pyarrow as pa

    if kind_of_input(train, rows.reading).format is not FileFormat.parquet:
        return None
    schema = read_parquet_schema(train, rows.reading)
    # Classes that `datasets` wrote as numbers have been read as names, which its notes do not allow.
    named = class_names(schema)
    metadata = {key: value for key, value in (schema.metadata or {}).items() if not named or key != b"huggingface"}
    fields = []
    for field in schema:
        keeps_type = field.name not in named and (
            field.name != rows.reading.columns.label or is_text(field.type) or pa.types.is_list(field.type)
        )
        # Rows that come from a review have no values in other columns.
        fields.append(pa.field(field.name, field.type if keeps_type else pa.string()))
    added = [pa.field(name, pa.string()) for name in rows.columns if name not in schema.names]
    return pa.schema([*fields, *added], metadata=metadata or None)


@contextmanager
def _own_settings(names: Mapping[str, str]) -> Iterator[None]:
    """Let messages about files name the settings of `merge` in place of those of the group `data`."""
    try:
        yield
    except InputError as error:
        problems = []
        for problem in error.problems:
            # The names of the files tell their formats, and the column of reviewed labels has one name.
            plain = re.sub(r" or set data\.format(=\w+)?", "", problem)
            if f"column {CORRECT_COLUMN!r}" in plain:
                plain = plain.replace("Set data.label_column.", "Name files of `textlstm review`.")
            problems.append(re.sub(r"\bdata\.(\w+)", lambda key: names.get(key[1], key[1]), plain))
        raise InputError(*problems) from error


def _corrections(
    config: MergeConfig, reviewed: Sequence[Path], labels: Mapping[str, int]
) -> tuple[dict[str, _Correction], int]:
    """Return the reviewed label of each text, and the number of rows that were not filled in.

    Raises:
        InputError: Rows without a text, labels that are not among the training `labels`, or two labels for one text;
            all of them.
    """
    columns = ColumnNames(text=config.review_text_column or config.text_column, label=CORRECT_COLUMN)
    reading = ReadSettings(encoding=config.review_encoding, columns=columns, need_labels=True)
    example = ExampleReader(reading)
    found: dict[str, _Correction] = {}
    problems: list[str] = []
    num_empty = 0
    for path in reviewed:
        for row in read_records(path, reading):
            if not isinstance(row, Record):
                problems.append(f"{row.file}:{row.number}: {row.reason}")
                continue
            if is_blank_text(cell_text(row.fields.get(CORRECT_COLUMN))):
                num_empty += 1
                continue
            text = text_to_label(row, columns.text)
            if is_blank_text(text):
                problems.append(f"{row.file}:{row.number}: has a {CORRECT_COLUMN} and no text")
                continue
            given = example.labels_of(row)
            if given is None:
                problems.append(f"{row.file}:{row.number}: {CORRECT_COLUMN} holds no single label")
                continue
            label = given[0].strip()
            if label not in labels and not config.new_labels:
                problems.append(f"{row.file}:{row.number}: {_unknown(label, list(labels))}")
            if text in found and found[text].label != label:
                problems.append(
                    f"{row.file}:{row.number}: {label!r}, but a review of the same text says {found[text].label!r}"
                )
            found[text] = _Correction(
                label, cell_text(row.fields.get(SOURCE_COLUMN)) or f"{path.name} row {row.number}"
            )
    if problems:
        raise InputError(*problems)
    if not found:
        raise InputError(f"{', '.join(config.reviewed)}: no row has a {CORRECT_COLUMN}; fill that column first")
    return found, num_empty


def _unknown(label: str, labels: Sequence[str]) -> str:
    near = difflib.get_close_matches(label, labels, n=1)
    hint = f"did you mean {near[0]!r}? S" if near else "s"
    return f"no training row has the label {label!r}; {hint}et new_labels=true where it is a new one"
