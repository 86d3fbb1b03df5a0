"""One shard from rows to a finished part: read, predict, write, record. Every engine calls `label_shard`."""

import base64
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from textlstm.config import FileFormat, LabellingConfig
from textlstm.corpus.rows.lines import RowRange, RowStart
from textlstm.corpus.rows.parquet import with_columns
from textlstm.corpus.rows.readers import read_records
from textlstm.corpus.rows.records import Record, Reject, reject_line, text_of_name
from textlstm.corpus.rows.settings import ColumnNames, ReadSettings, delimiter_of
from textlstm.corpus.rows.streams import packed_stream
from textlstm.corpus.rows.values import cell_text
from textlstm.corpus.rows.workbooks import oversized_cell
from textlstm.corpus.rows.writers import RecordWriter, record_writer
from textlstm.corpus.sources.examples import text_problem, text_to_label
from textlstm.errors import InputError
from textlstm.labelling.columns import AddedColumns, explain_rows
from textlstm.labelling.earlier.kept import KnownRow, KnownRows, open_known_rows
from textlstm.labelling.inputs import local_path
from textlstm.labelling.journal import DigestStream, Journal, ShardRecord, known_sum
from textlstm.labelling.model import RowClassifier
from textlstm.labelling.plan import InputFile, RowFormat, Shard

if TYPE_CHECKING:
    import pyarrow as pa

# Rows of a shard in and out: the corpus room's readers and writers, as labelling uses them.


def settings_of_reading(settings: LabellingConfig, *, text_column: str) -> ReadSettings:
    """Return how inputs are read: only the text column counts, whatever other columns hold."""
    base = ReadSettings.for_labelling(settings, text_column=text_column)
    return replace(base, columns=ColumnNames(text=base.columns.text, label=""))


def read_rows(
    file: InputFile, shard: Shard, settings: LabellingConfig, *, text_column: str
) -> Iterator[Record | Reject]:
    """Yield the rows of `shard` whose text can be labelled or is missing, and a reject for each other one.

    Raises:
        InputError: The file changed since it was planned.
        StorageError: Reading fails.
    """
    # Format and encoding are those of the plan, whatever the name of an unpacked copy says.
    reading = replace(
        settings_of_reading(settings, text_column=text_column), format=file.format, encoding=file.encoding
    )
    # Seek to the first byte of the shard; Parquet has no such offset and finds rows by their number.
    start = RowStart(shard.first_row, shard.offset) if shard.offset >= 0 else None
    rows = RowRange(shard.first_row, shard.last_row, start, file.state)
    for row in read_records(local_path(file.path), reading, rows=rows):
        checked = checked_row(row, reading)
        # Rejects name the file as the user gave it, not the copy that is read.
        yield checked._replace(file=file.name) if isinstance(checked, Reject) else checked


def checked_row(row: Record | Reject, reading: ReadSettings) -> Record | Reject:
    """Return the row itself, or a reject where its text cannot be labelled."""
    problem = text_problem(row, reading) if isinstance(row, Record) else ""
    return Reject(row.file, row.number, row.offset, problem) if problem else row


def _fitting_row(row: Record | Reject) -> Record | Reject:
    """Return the row itself, or a reject where a sheet cannot hold it."""
    problem = oversized_cell(row.fields) if isinstance(row, Record) else ""
    return Reject(row.file, row.number, row.offset, problem) if problem else row


@contextmanager
def write_rows(
    stream: DigestStream, output: RowFormat, added: AddedColumns, *, settings: LabellingConfig
) -> Iterator[RecordWriter]:
    """Give the writer of one part into `stream`: without header, packed as the output is."""
    # Each part is packed on its own, so that parts can be joined without unpacking them.
    with packed_stream(cast(BinaryIO, stream), output.compression) as packer:
        writer = record_writer(
            packer,
            # A workbook is written when all its rows are there.
            FileFormat.jsonl if output.format is FileFormat.xlsx else output.format,
            columns=None if output.format is FileFormat.jsonl else (*output.columns, *added.names),
            schema=parquet_schema(output, added) if output.format is FileFormat.parquet else None,
            header=False,
            excel_safe=settings.excel_safe,
            delimiter=delimiter_of(settings.delimiter),
            decimal_comma=settings.decimal_comma,
        )
        yield writer
        # Inside the packer's block: closing writes what the writer still holds.
        writer.close()


def write_header(stream: DigestStream, output: RowFormat, added: AddedColumns, *, settings: LabellingConfig) -> None:
    """Write what comes before the first part of a CSV or TSV output; nothing for JSONL."""
    if output.format in (FileFormat.csv, FileFormat.tsv):
        with packed_stream(cast(BinaryIO, stream), output.compression) as packer:
            columns = (*output.columns, *added.names)
            delimiter = delimiter_of(settings.delimiter)
            record_writer(
                packer, output.format, columns=columns, excel_safe=settings.excel_safe, delimiter=delimiter
            ).close()


def parquet_schema(output: RowFormat, added: AddedColumns) -> "pa.Schema":
    """Return the Arrow schema of a Parquet output: the input's types where it is Parquet, strings elsewhere."""
    import pyarrow as pa

    if output.schema:
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(output.schema)))
    else:
        schema = pa.schema([(name, pa.string()) for name in output.columns])
    return with_columns(schema, added.types)


BLOCK_CHARS = 4_000_000
"""Rows are predicted in blocks of at most this many characters of text, so that memory stays bounded."""


class ShardTask(NamedTuple):
    """One shard and all that a worker must know to do it, as plain data."""

    shard: Shard
    file: InputFile
    output: RowFormat
    text_column: str
    known: str = ""
    """Address of the folder of known rows; empty: no label is known."""


class LabelledBlock(NamedTuple):
    """Rows in order, each with the added columns, or with the reason why it is rejected."""

    rows: list[dict[str, object]]
    rejects: list[Reject]
    labels: Counter[str]
    decisions: Counter[str]
    confidence_sum: float
    num_seen: int | None
    """Rows whose text the model learned from; None where that is not known."""
    num_without_network: int
    """Rows that the linear expert decided alone."""
    jobs: list[int]
    """Which job labelled each of the rows, as in `ShardRecord.jobs`."""


def label_shard(
    task: ShardTask,
    classifier: RowClassifier,
    *,
    settings: LabellingConfig,
    journal: Journal,
    on_rows: Callable[[int], None],
) -> ShardRecord:
    """Label the rows of one shard, store part, rejects and record, and return the record.

    `on_rows` is called with the number of rows done so far.

    Raises:
        InputError: The file changed since the job was planned.
        StorageError: The part cannot be written.
    """
    seconds: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    decisions: Counter[str] = Counter()
    rejects: list[Reject] = []
    num_rows, num_without_network, confidence_sum = 0, 0, 0.0
    num_seen: int | None = None
    jobs: list[list[int]] = []
    known = open_known_rows(task.known) if task.known else None
    added = AddedColumns(settings, classifier.labels, is_multi_label=classifier.is_multi_label)
    # The part has a temporary name until this block ends.
    with journal.part(task.shard.number) as stream, write_rows(stream, task.output, added, settings=settings) as writer:
        clock = time.perf_counter()
        rows = read_rows(task.file, task.shard, settings, text_column=task.text_column)
        if task.output.format is FileFormat.xlsx:
            rows = map(_fitting_row, rows)
        # Block by block, so that memory stays bounded: read, predict, write.
        for block in cut_blocks(rows, text_column=task.text_column, max_rows=task.shard.num_rows):
            clock = _lap(seconds, "read", clock)
            done = label_block(
                block,
                classifier,
                settings=settings,
                added=added,
                text_column=task.text_column,
                source=task.file.name,
                known=known,
            )
            clock = _lap(seconds, "predict", clock)
            for row in done.rows:
                writer.write(row)
            clock = _lap(seconds, "write", clock)
            num_rows += len(done.rows)
            rejects += done.rejects
            labels += done.labels
            decisions += done.decisions
            confidence_sum += done.confidence_sum
            num_seen = known_sum(num_seen, done.num_seen)
            num_without_network += done.num_without_network
            add_runs(jobs, done.jobs)
            on_rows(num_rows + len(rejects))
    # With other rows than planned the part has no record, so it does not count as done.
    if num_rows + len(rejects) != task.shard.num_rows:
        raise InputError(f"{task.file.name}: changed since the job was planned; run again with overwrite=true")
    # Only after the block is the sha256 that of the whole part, the end of the packed stream included.
    rejects_lines = b"".join(reject_line(reject) for reject in rejects)
    record = ShardRecord(
        number=task.shard.number,
        num_rows=num_rows,
        num_rejects=len(rejects),
        sha256=stream.sha256,
        rejects_sha256=hashlib.sha256(rejects_lines).hexdigest(),
        labels=dict(sorted(labels.items())),
        decisions=dict(sorted(decisions.items())),
        confidence_sum=confidence_sum,
        seconds={step: round(value, 4) for step, value in seconds.items()},
        num_seen=num_seen,
        num_without_network=num_without_network,
        jobs=jobs if known is not None else (),
    )
    # When the record is on the disk, the shard is done.
    journal.finish(record, rejects=rejects_lines)
    return record


def label_block(
    block: list[Record | Reject],
    classifier: RowClassifier,
    *,
    settings: LabellingConfig,
    added: AddedColumns,
    text_column: str,
    source: str = "",
    known: KnownRows | None = None,
) -> LabelledBlock:
    """Return the rows of `block` with the added columns; rows that cannot take them are rejected.

    `source` is the input as the user gave it; empty: as the rows name it. Texts that are `known` are not labelled.
    """
    records: list[Record] = []
    rejects: list[Reject] = []
    # Sort out the rows that cannot be used or already have a column of an added name.
    for row in block:
        if isinstance(row, Reject):
            rejects.append(row)
        elif (clash := added.clash(row.fields)) is not None:
            rejects.append(Reject(row.file, row.number, row.offset, clash))
        else:
            records.append(row)
    labels: Counter[str] = Counter()
    decisions: Counter[str] = Counter()
    rows: list[dict[str, object]] = []
    confidence_sum = 0.0
    # N texts; those whose label is known need no model.
    texts = [text_to_label(record, text_column) for record in records]
    found = known.find(texts) if known is not None else [None] * len(texts)
    before = classifier.num_without_network
    new_texts = [text for text, known_row in zip(texts, found, strict=True) if known_row is None]
    new = _new_answers(new_texts, classifier, settings=settings, added=added) if new_texts else iter(())
    for record, known_row in zip(records, found, strict=True):
        answer = next(new) if known_row is None else _known_answer(known_row, settings, added)
        if settings.source_column:
            answer.values[settings.source_column] = text_of_name(source or record.file)
        rows.append({**record.fields, **answer.values})
        labels.update(answer.labels)
        decisions[answer.decision] += 1
        confidence_sum += answer.probability
    return LabelledBlock(
        rows,
        rejects,
        labels,
        decisions,
        confidence_sum,
        classifier.count_seen(texts) if texts else None,
        classifier.num_without_network - before,
        [0 if known_row is None else known_row.job for known_row in found],
    )


class _Answer(NamedTuple):
    """What is added to one row, and counted of it."""

    values: dict[str, object]
    labels: Sequence[str]
    """The label as it is written; of a text that may have several, each of them, or "" where it has none."""
    decision: str
    probability: float


def _new_answers(
    texts: Sequence[str], classifier: RowClassifier, *, settings: LabellingConfig, added: AddedColumns
) -> Iterator[_Answer]:
    """Yield the model's answer to each of N texts."""
    # (N, L) float32 probabilities, then N predictions.
    probabilities = classifier.predict_proba(texts)
    predictions = classifier.decide(texts, probabilities)
    explanations = explain_rows(texts, probabilities, classifier) if settings.explanation else ()
    values_of_rows = added.values(predictions, probabilities, explanations=explanations)
    for values, prediction in zip(values_of_rows, predictions, strict=True):
        labels = (prediction.labels or ("",)) if added.is_multi_label else (cell_text(values[settings.label_name]),)
        yield _Answer(values, labels, str(prediction.decision), float(prediction.probability))


def _known_answer(row: KnownRow, settings: LabellingConfig, added: AddedColumns) -> _Answer:
    """Return the answer that stands in an earlier output."""
    label = row.values[settings.label_name]
    labels = (cast(list[str], label) or ("",)) if added.is_multi_label else (cell_text(label),)
    probability = cast(float, row.values[settings.probability_name])
    return _Answer(row.values, labels, cell_text(row.values[settings.decision_name]), probability)


def add_runs(runs: list[list[int]], jobs: Sequence[int]) -> None:
    """Add one job a row to `runs` of [job, rows]: 0, 1, 1 after [[0, 2]] gives [[0, 3], [1, 2]]."""
    for job, same in groupby(jobs):
        count = len(list(same))
        if runs and runs[-1][0] == job:
            runs[-1][1] += count
        else:
            runs.append([job, count])


def cut_blocks(rows: Iterator[Record | Reject], *, text_column: str, max_rows: int) -> Iterator[list[Record | Reject]]:
    """Yield `rows` in blocks of at most `max_rows` rows and about BLOCK_CHARS characters of text."""
    block: list[Record | Reject] = []
    num_chars = 0
    for row in rows:
        block.append(row)
        if isinstance(row, Record):
            num_chars += len(text_to_label(row, text_column))
        if num_chars >= BLOCK_CHARS or len(block) >= max_rows:
            yield block
            block, num_chars = [], 0
    if block:
        yield block


def _lap(seconds: Counter[str], step: str, since: float) -> float:
    now = time.perf_counter()
    seconds[step] += now - since  # type: ignore[assignment]  # a Counter adds floats as well
    return now
