"""One shard from rows to a finished part: read, predict, write, record. Every engine calls `label_shard`."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from textlstm.config import LabellingConfig
from textlstm.corpus.files.records import Record, Reject
from textlstm.corpus.files.rejects import reject_line
from textlstm.errors import InputError
from textlstm.labelling.classifier import RowClassifier
from textlstm.labelling.columns import AddedColumns
from textlstm.labelling.explanation import explain_rows
from textlstm.labelling.journal import Journal, ShardRecord
from textlstm.labelling.plan import InputFile, Shard
from textlstm.labelling.row_format import RowFormat
from textlstm.labelling.rows import read_rows, write_rows

BLOCK_CHARS = 4_000_000
"""Rows are predicted in blocks of at most this many characters of text, so that memory stays bounded."""


class ShardTask(NamedTuple):
    """One shard and all that a worker must know to do it, as plain data."""

    shard: Shard
    file: InputFile
    output: RowFormat
    text_column: str


class LabelledBlock(NamedTuple):
    """Rows in order, each with the added columns, or with the reason why it is rejected."""

    rows: list[dict[str, object]]
    rejects: list[Reject]
    labels: Counter[str]
    decisions: Counter[str]
    confidence_sum: float


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
    num_rows, confidence_sum = 0, 0.0
    added = AddedColumns(settings, classifier.labels)
    with journal.part(task.shard.number) as stream, write_rows(stream, task.output, added, settings=settings) as writer:
        clock = time.perf_counter()
        rows = read_rows(task.file, task.shard, settings, text_column=task.text_column)
        for block in cut_blocks(rows, text_column=task.text_column, max_rows=task.shard.num_rows):
            clock = _lap(seconds, "read", clock)
            done = label_block(block, classifier, settings=settings, added=added, text_column=task.text_column)
            clock = _lap(seconds, "predict", clock)
            for row in done.rows:
                writer.write(row)
            clock = _lap(seconds, "write", clock)
            num_rows += len(done.rows)
            rejects += done.rejects
            labels += done.labels
            decisions += done.decisions
            confidence_sum += done.confidence_sum
            on_rows(num_rows + len(rejects))
    if num_rows + len(rejects) != task.shard.num_rows:
        raise InputError(f"{task.file.name}: changed since the job was planned; run again with overwrite=true")
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
    )
    journal.finish(record, rejects=rejects_lines)
    return record


def label_block(
    block: list[Record | Reject],
    classifier: RowClassifier,
    *,
    settings: LabellingConfig,
    added: AddedColumns,
    text_column: str,
) -> LabelledBlock:
    """Return the rows of `block` with the added columns; rows that cannot take them are rejected."""
    records: list[Record] = []
    rejects: list[Reject] = []
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
    if records:
        texts = [str(record.fields[text_column]) for record in records]
        probabilities = classifier.predict_proba(texts)
        predictions = classifier.decide(texts, probabilities)
        explanations = explain_rows(texts, probabilities, classifier) if settings.explanation else ()
        values_of_rows = added.values(predictions, probabilities, explanations=explanations)
        for record, values in zip(records, values_of_rows, strict=True):
            rows.append({**record.fields, **values})
            labels[str(values[settings.label_name])] += 1
        for prediction in predictions:
            decisions[str(prediction.decision)] += 1
            confidence_sum += float(prediction.probability)
    return LabelledBlock(rows, rejects, labels, decisions, confidence_sum)


def cut_blocks(rows: Iterator[Record | Reject], *, text_column: str, max_rows: int) -> Iterator[list[Record | Reject]]:
    """Yield `rows` in blocks of at most `max_rows` rows and about BLOCK_CHARS characters of text."""
    block: list[Record | Reject] = []
    num_chars = 0
    for row in rows:
        block.append(row)
        if isinstance(row, Record):
            num_chars += len(str(row.fields[text_column]))
        if num_chars >= BLOCK_CHARS or len(block) >= max_rows:
            yield block
            block, num_chars = [], 0
    if block:
        yield block


def _lap(seconds: Counter[str], step: str, since: float) -> float:
    now = time.perf_counter()
    seconds[step] += now - since  # type: ignore[assignment]  # a Counter adds floats as well
    return now
