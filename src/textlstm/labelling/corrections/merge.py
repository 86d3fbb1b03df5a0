"""`textlstm merge`: reviewed rows join the training rows, each with where its label comes from."""

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from textlstm.config import FileFormat, MergeConfig
from textlstm.corpus.rows.readers import read_columns, read_records
from textlstm.corpus.rows.records import Record
from textlstm.corpus.rows.settings import ColumnNames, ReadSettings, kind_by_name
from textlstm.corpus.rows.streams import packed_stream
from textlstm.corpus.rows.values import cell_text
from textlstm.corpus.rows.writers import record_writer
from textlstm.errors import InputError
from textlstm.figure_text import counted
from textlstm.labelling.corrections.review import CORRECT_COLUMN, SOURCE_COLUMN
from textlstm.storage.files import atomic_file

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
    output = Path(config.output).expanduser()
    if output.exists() and not config.overwrite:
        raise InputError(f"{output}: exists; choose another output or set overwrite=true")
    train = Path(config.train).expanduser()
    reading = ReadSettings(columns=ColumnNames(text=config.text_column, label=config.label_column), need_labels=True)
    # First the labels there are, so that a typing error in a review is found before anything is written.
    labels = Counter(label for _, label, _ in _training_rows(train, reading))
    corrections, num_empty = _corrections(config, labels)
    format = kind_by_name(output)
    columns = list(read_columns(train, reading))
    if PROVENANCE_COLUMN not in columns:
        columns.append(PROVENANCE_COLUMN)
    num_rows = num_corrected = num_known = 0
    left = dict(corrections)
    with atomic_file(output) as stream, packed_stream(stream, format.compression) as packer:
        writer = record_writer(packer, format.format, columns=None if format.format is FileFormat.jsonl else columns)
        for text, label, fields in _training_rows(train, reading):
            row = {PROVENANCE_COLUMN: "", **fields}
            correction = corrections.get(text)
            if correction is not None:
                left.pop(text, None)
                if correction.label == label:
                    num_known += 1
                else:
                    num_corrected += 1
                    row |= {config.label_column: correction.label}
                    row |= {PROVENANCE_COLUMN: f"{correction.source}, was {label}"}
            writer.write(row)
            num_rows += 1
        for text, correction in left.items():
            added = {config.text_column: text, config.label_column: correction.label}
            writer.write({**added, PROVENANCE_COLUMN: correction.source})
        writer.close()
    return Merged(str(output), num_rows + len(left), len(left), num_corrected, num_known, num_empty)


def _training_rows(path: Path, reading: ReadSettings) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    """Yield text, label and columns of the training rows.

    Raises:
        InputError: The file cannot be read, or one of its rows.
    """
    for row in read_records(path, reading):
        if not isinstance(row, Record):
            raise InputError(f"{row.file}:{row.number}: {row.reason}; mend the row before rows are merged")
        columns = reading.columns
        yield cell_text(row.fields.get(columns.text)), cell_text(row.fields.get(columns.label)), row.fields


def _corrections(config: MergeConfig, labels: Mapping[str, int]) -> tuple[dict[str, _Correction], int]:
    """Return the reviewed label of each text, and the number of rows that were not filled in.

    Raises:
        InputError: Labels that are not among the training `labels`, or two labels for one text; all of them.
    """
    reading = ReadSettings(
        columns=ColumnNames(text=config.review_text_column or config.text_column, label=CORRECT_COLUMN),
        need_labels=True,
    )
    found: dict[str, _Correction] = {}
    problems: list[str] = []
    num_empty = 0
    for name in config.reviewed:
        for row in read_records(Path(name).expanduser(), reading):
            if not isinstance(row, Record):
                problems.append(f"{row.file}:{row.number}: {row.reason}")
                continue
            text = cell_text(row.fields.get(reading.columns.text))
            label = cell_text(row.fields.get(CORRECT_COLUMN)).strip()
            if not label:
                num_empty += 1
                continue
            if label not in labels and not config.new_labels:
                problems.append(f"{row.file}:{row.number}: {_unknown(label, list(labels))}")
            if text in found and found[text].label != label:
                problems.append(
                    f"{row.file}:{row.number}: {label!r}, but a review of the same text says {found[text].label!r}"
                )
            found[text] = _Correction(
                label, cell_text(row.fields.get(SOURCE_COLUMN)) or f"{Path(name).name} row {row.number}"
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
