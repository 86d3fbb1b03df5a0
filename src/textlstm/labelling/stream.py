"""Rows through a pipe: labelled in order, block by block, with bounded memory and nothing on the disk."""

import time
from collections import Counter
from dataclasses import replace
from itertools import chain
from typing import BinaryIO

from textlstm.config import FileFormat, LabelConfig, LabellingConfig
from textlstm.corpus.rows.inputs import expand_inputs
from textlstm.corpus.rows.readers import kind_of_input, read_records, reading_notes
from textlstm.corpus.rows.records import RejectCount, reject_line
from textlstm.corpus.rows.settings import delimiter_of
from textlstm.corpus.rows.writers import RecordWriter, record_writer
from textlstm.errors import InputError
from textlstm.labelling.columns import AddedColumns
from textlstm.labelling.journal import ShardRecord, known_sum
from textlstm.labelling.model import ModelCard, RowClassifier
from textlstm.labelling.shard import LabelledBlock, checked_row, cut_blocks, label_block, settings_of_reading
from textlstm.labelling.summary import LabelSummary, summarize

STREAM_ROWS = 1000
"""Rows that are read before their labels are written."""


def label_stream(
    config: LabelConfig, classifier: RowClassifier, card: ModelCard, *, output: BinaryIO, rejects: BinaryIO
) -> LabelSummary:
    """Label the rows of `config.input` in order into `output`; lines about rejected rows go to `rejects`.

    Raises:
        InputError: The input cannot be used, or too many of its rows were rejected; what was labelled is out by then.
    """
    started = time.perf_counter()
    settings = config.labelling
    reading = settings_of_reading(settings, text_column=card.text_column)
    paths = expand_inputs(config.input)
    format = _stream_format(config, {kind_of_input(path, reading).format for path in paths})
    added = AddedColumns(settings, classifier.labels, is_multi_label=classifier.is_multi_label)
    count = RejectCount()
    total = _Total()
    writer: RecordWriter | None = None
    # Lazy generators: rows are read as the loop below asks for the next block.
    rows = chain.from_iterable(read_records(path, reading) for path in paths)
    checked = (checked_row(row, reading) for row in rows)
    for block in cut_blocks(checked, text_column=reading.columns.text, max_rows=STREAM_ROWS):
        done = label_block(block, classifier, settings=settings, added=added, text_column=reading.columns.text)
        count.num_rows += len(block)
        for reject in done.rejects:
            count.add(reject)
            rejects.write(reject_line(reject))
        for row in done.rows:
            # The columns of the first row are those of the header.
            writer = writer or _open_writer(output, format, row, added, settings)
            writer.write(row)
        # A reader at the other end sees each block while later rows are still to come.
        output.flush()
        rejects.flush()
        total.add(done)
    if writer is not None:
        writer.close()
    output.flush()
    # Too many rejects fail the command here, after all rows are out.
    count.check(reading, name=", ".join(map(str, paths)))
    summary = summarize(
        [total.record(count)],
        card,
        output="standard output",
        rejects="standard error",
        manifest="",
        num_continued=0,
        seconds=time.perf_counter() - started,
        num_workers=1,
        early_exit=card.early_exit(settings),
    )
    # A pipe cannot be read a second time, and has no notes.
    files = [path for path in paths if path.is_file()]
    return replace(summary, notes=tuple(note for path in files for note in reading_notes(path, reading)))


class _Total:
    """Adds up what `summarize` wants to know."""

    def __init__(self) -> None:
        self._labels: Counter[str] = Counter()
        self._decisions: Counter[str] = Counter()
        self._num_rows = 0
        self._confidence_sum = 0.0
        self._num_seen: int | None = None
        self._num_without_network = 0

    def add(self, block: LabelledBlock) -> None:
        self._labels += block.labels
        self._decisions += block.decisions
        self._num_rows += len(block.rows)
        self._confidence_sum += block.confidence_sum
        self._num_seen = known_sum(self._num_seen, block.num_seen)
        self._num_without_network += block.num_without_network

    def record(self, count: RejectCount) -> ShardRecord:
        return ShardRecord(
            number=0,
            num_rows=self._num_rows,
            num_rejects=count.num_rejects,
            sha256="",
            rejects_sha256="",
            labels=self._labels,
            decisions=self._decisions,
            confidence_sum=self._confidence_sum,
            seconds={},
            num_seen=self._num_seen,
            num_without_network=self._num_without_network,
        )


def _stream_format(config: LabelConfig, input_formats: set[FileFormat]) -> FileFormat:
    """Return the format of the stream: that of the input, unless the input has fixed columns and JSONL is asked for."""
    # `expand_inputs` refuses inputs of different formats, so exactly one is left.
    [input_format] = input_formats
    chosen = config.labelling.output_format
    if chosen is FileFormat.auto:
        chosen = (
            FileFormat.jsonl if input_format in (FileFormat.text, FileFormat.folder, FileFormat.xlsx) else input_format
        )
    columns_differ = input_format is FileFormat.jsonl and chosen is not FileFormat.jsonl
    if chosen not in (FileFormat.csv, FileFormat.tsv, FileFormat.jsonl) or columns_differ:
        raise InputError(
            f"output=-: {input_format} cannot be streamed as {chosen}; set labelling.output_format=jsonl, "
            "or name a file as output"
        )
    return chosen


def _open_writer(
    output: BinaryIO, format: FileFormat, row: dict[str, object], added: AddedColumns, settings: LabellingConfig
) -> RecordWriter:
    columns = [name for name in row if name not in added.names]
    return record_writer(
        output,
        format,
        columns=None if format is FileFormat.jsonl else [*columns, *added.names],
        excel_safe=settings.excel_safe,
        delimiter=delimiter_of(settings.delimiter),
        decimal_comma=settings.decimal_comma,
    )
