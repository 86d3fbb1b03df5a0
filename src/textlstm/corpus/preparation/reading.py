"""First pass: every row is read, checked and stored; what the split needs to know of each stays in memory.

That is 20 bytes a row: hashes of text and id, and the number of its label set.
"""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from textlstm.arrays.hashing import Hashes, content_hash, content_hashes
from textlstm.config import DataConfig
from textlstm.corpus.preparation.row_checks import DuplicateIds, RowProbabilities, RowWeights
from textlstm.corpus.prepared import Split
from textlstm.corpus.rows.records import Reject, RejectCount, reject_line
from textlstm.corpus.rows.settings import ReadSettings
from textlstm.corpus.sources.example_blocks import ROW_SCHEMA, ExampleBlock, record_batch
from textlstm.corpus.sources.examples import Example
from textlstm.corpus.sources.sources import Source
from textlstm.errors import InputError
from textlstm.storage.files import atomic_file

BATCH_ROWS = 2048
BATCH_CHARS = 1_000_000


@dataclass(frozen=True, slots=True)
class IngestedSource:
    """The N rows of one source."""

    split: Split
    path: Path
    """Arrow stream of `ROW_SCHEMA`."""
    hashes: Hashes
    """(N,) uint64 content hashes of the texts."""
    label_set_ids: npt.NDArray[np.int32]
    """(N,) int32 indices into `Ingested.label_sets`."""
    num_rows_of: Mapping[str, int] = field(default_factory=dict)
    """Rows in which each label has a probability above 0; empty where labels are sure."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What the first pass leaves behind."""

    sources: tuple[IngestedSource, ...]
    label_sets: tuple[tuple[str, ...], ...]
    """Every combination of labels that occurs, in order of first occurrence."""
    num_rejects: int
    rejects_path: Path

    def without_hashes(self) -> "Ingested":
        """Return the same without what only the split needs, so that its memory is free while texts are tokenized."""
        no_hashes, no_ids = np.zeros(0, np.uint64), np.zeros(0, np.int32)
        sources = (replace(source, hashes=no_hashes, label_set_ids=no_ids) for source in self.sources)
        return replace(self, sources=tuple(sources))


def ingest(sources: Sequence[Source], directory: Path, *, data: DataConfig, on_rows: Callable[[int], None]) -> Ingested:
    """Read all sources into `directory`; `on_rows` hears the number of rows so far.

    Raises:
        InputError: everything that is wrong with all sources, together.
        StorageError: the rows cannot be written.
    """
    label_sets: dict[tuple[str, ...], int] = {}
    ingested: list[IngestedSource] = []
    problems: list[str] = []
    num_rows = num_rejects = 0
    settings = ReadSettings.for_data(data)
    rejects_path = directory / "rejects.jsonl"
    with atomic_file(rejects_path) as rejects:
        # Every source is read to its end, so that one message tells all that is wrong.
        for source in sources:
            path = directory / f"rows-{source.split}.arrow"
            rows = _RowWriter(label_sets, rejects, has_ids=bool(data.id_column))
            try:
                with atomic_file(path) as stream:
                    for _ in rows.write(source, stream, limit=data.limit):
                        on_rows(num_rows + rows.num_rows)
            except InputError as error:
                problems += error.problems
            problems += rows.reject_problems(settings)
            problems += rows.ids.problems(data.id_column)
            problems += rows.weights.problems(data.weight_column)
            problems += rows.probabilities.problems(data.probabilities_column)
            num_rows += rows.num_rows
            num_rejects += sum(count.num_rejects for count in rows.counts.values())
            ingested.append(rows.finish(source.split, path))
    # Rows files of usable sources are on the disk by now; the caller removes the folder.
    if problems:
        raise InputError(*problems)
    return Ingested(
        sources=tuple(ingested),
        label_sets=tuple(label_sets),
        num_rejects=num_rejects,
        rejects_path=rejects_path,
    )


class _RowWriter:
    """Writes the rows of one source as Arrow batches and collects hashes, label sets and counts by file."""

    def __init__(self, label_sets: dict[tuple[str, ...], int], rejects: BinaryIO, *, has_ids: bool) -> None:
        self.num_rows = 0
        self.counts: dict[str, RejectCount] = {}
        self.ids = DuplicateIds()
        self.weights = RowWeights()
        self.probabilities = RowProbabilities()
        self._has_ids = has_ids
        self._label_sets = label_sets
        self._rejects = rejects
        self._hashes = array("Q")
        self._label_set_ids = array("i")

    def write(self, source: Source, stream: BinaryIO, *, limit: int) -> Iterator[None]:
        """Write all rows; give control back after each batch."""
        # A limit ends between two rows, so then they are read one by one.
        if limit or source.blocks is None:
            batches = _batches(self._examples(source), limit=limit)
        else:
            batches = _batches_of_blocks(map(self._take, source.blocks()))
        with pa.ipc.new_stream(stream, ROW_SCHEMA) as writer:
            for batch in batches:
                writer.write_batch(batch)
                yield

    def reject_problems(self, settings: ReadSettings) -> list[str]:
        """Return what is wrong with files of which too many rows were rejected."""
        return [problem for name, count in self.counts.items() for problem in count.problems(settings, name=name)]

    def finish(self, split: Split, path: Path) -> IngestedSource:
        """Return what was collected."""
        return IngestedSource(
            split=split,
            path=path,
            hashes=np.frombuffer(self._hashes, dtype=np.uint64),
            label_set_ids=np.frombuffer(self._label_set_ids, dtype=np.int32),
            num_rows_of=dict(self.probabilities.num_rows_of),
        )

    def _take(self, block: ExampleBlock) -> pa.RecordBatch:
        """Note what the split needs to know of a block; return the rows to learn from."""
        count = self.counts.setdefault(block.file, RejectCount())
        count.num_rows += block.num_rows
        for reject in block.rejects:
            self._reject(count, reject)
        rows = self.weights.counted(block)
        self.num_rows += rows.num_rows
        if self._has_ids:
            for row_id, number in zip(rows.column("id").to_pylist(), rows.column("row").to_pylist(), strict=True):
                self.ids.add(row_id, file=block.file, number=number)
        self._hashes.frombytes(content_hashes(rows.column("text")).tobytes())
        self._label_set_ids.frombytes(self._sets_of(rows.column("labels")).tobytes())
        return rows

    def _sets_of(self, labels: pa.ListArray) -> npt.NDArray[np.int32]:
        """Return (N,) the numbers of label sets, which are counted in the order in which they first occur."""
        flat, number_of = labels.flatten(), self._label_sets.setdefault
        if len(flat) == len(labels) and not pc.any(pc.equal(pc.list_value_length(labels), 0)).as_py():
            # One label a row: each different one is looked up once.
            encoded = flat.dictionary_encode()
            numbers = [number_of((label,), len(self._label_sets)) for label in encoded.dictionary.to_pylist()]
            of_rows: npt.NDArray[np.int32] = np.array(numbers, np.int32)[encoded.indices.to_numpy()]
            return of_rows
        sets = (tuple(sorted(row)) for row in labels.to_pylist())
        return np.fromiter((number_of(row, len(self._label_sets)) for row in sets), np.int32, len(labels))

    def _reject(self, count: RejectCount, reject: Reject) -> None:
        count.add(reject)
        # The rejects file names files without their folders.
        self._rejects.write(reject_line(reject._replace(file=Path(reject.file).name)))

    def _examples(self, source: Source) -> Iterator[Example]:
        for example in source.examples():
            if isinstance(example, Reject):
                count = self.counts.setdefault(example.file, RejectCount())
                count.num_rows += 1
                self._reject(count, example)
                continue
            self.counts.setdefault(example.record.file, RejectCount()).num_rows += 1
            # A row of weight 0 is as if it were not there.
            if not self.weights.counts(example) or not self.probabilities.are_usable(example):
                continue
            self.num_rows += 1
            if self._has_ids:
                self.ids.add(example.id, file=example.record.file, number=example.record.number)
            self._hashes.append(content_hash(example.text))
            # Sorted, so that the order of labels in a row does not matter to the split.
            label_set = tuple(sorted(example.labels))
            self._label_set_ids.append(self._label_sets.setdefault(label_set, len(self._label_sets)))
            yield example


def _batches(examples: Iterator[Example], *, limit: int) -> Iterator[pa.RecordBatch]:
    """Yield at most BATCH_ROWS rows or about BATCH_CHARS characters at a time."""
    rows: list[Example] = []
    num_chars = 0
    for example in islice(examples, limit or None):
        rows.append(example)
        num_chars += len(example.text)
        if len(rows) == BATCH_ROWS or num_chars >= BATCH_CHARS:
            yield record_batch(rows)
            rows, num_chars = [], 0
    if rows:
        yield record_batch(rows)


def _batches_of_blocks(blocks: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `blocks` in the batches of `_batches`."""
    pieces: list[pa.RecordBatch] = []
    num_rows = num_chars = 0
    for block in blocks:
        # (B + 1,) characters before each row of the block, and in all.
        chars = np.zeros(block.num_rows + 1, np.int64)
        np.cumsum(pc.utf8_length(block.column("text")).to_numpy(), out=chars[1:])
        start = 0
        while start < block.num_rows:
            # A batch ends with the row that fills it, by rows or by characters.
            full = int(np.searchsorted(chars, chars[start] + BATCH_CHARS - num_chars))
            end = min(start + BATCH_ROWS - num_rows, max(full, start + 1))
            pieces.append(block.slice(start, end - start))
            if end > block.num_rows:
                num_rows += block.num_rows - start
                num_chars += int(chars[-1] - chars[start])
                break
            yield pa.concat_batches(pieces)
            pieces, num_rows, num_chars, start = [], 0, 0, end
    if pieces:
        yield pa.concat_batches(pieces)
