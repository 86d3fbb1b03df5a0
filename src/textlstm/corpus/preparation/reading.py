"""First pass: every row is read, checked and stored; what the split needs to know of each stays in memory.

That is 20 bytes a row: hashes of text and id, and the number of its label set.
"""

import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from textlstm.arrays.hashing import Hashes, content_hash, content_hashes
from textlstm.config import DataConfig
from textlstm.corpus.prepared import Split
from textlstm.corpus.rows.records import Reject, RejectCount, reject_line, text_of_name
from textlstm.corpus.rows.settings import ReadSettings
from textlstm.corpus.sources.example_blocks import ROW_SCHEMA, ExampleBlock, record_batch
from textlstm.corpus.sources.examples import Example
from textlstm.corpus.sources.sources import Source
from textlstm.errors import InputError
from textlstm.storage.files import atomic_file

# Finds ids that occur more than once, in 8 bytes a row.

_NUM_EXAMPLES = 10


class DuplicateIds:
    """Keeps a 64-bit hash of every id; among 10 million different ids, two share one with probability 3e-6."""

    def __init__(self) -> None:
        self._hashes = array("Q")
        self._places: list[tuple[int, str, int]] = []
        self._next_number = 0

    def add(self, row_id: str, *, file: str, number: int) -> None:
        """Note the id of row `number` of `file`; rows come file by file."""
        index = len(self._hashes)
        # A place is noted only where numbers jump (another file, a rejected row); in between, rows can be counted.
        if not self._places or self._places[-1][1] != file or number != self._next_number:
            self._places.append((index, file, number))
        self._next_number = number + 1
        self._hashes.append(int.from_bytes(blake2b(row_id.encode("utf-8"), digest_size=8).digest(), "little"))

    def problems(self, column: str) -> list[str]:
        """Return one line for each of the first rows whose id, in `column`, an earlier row has; ids are not shown."""
        hashes = np.frombuffer(self._hashes, dtype=np.uint64)
        # (N,) for each row the first row with the same id; a row that is not its own first repeats an id.
        _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        earlier = first[inverse]
        again = np.flatnonzero(earlier != np.arange(len(hashes)))
        problems = [
            f"{self._where(int(index))}: column {column!r}: the id is that of {self._where(int(earlier[index]))} too. "
            "Make ids unique, or set data.id_column to another column."
            for index in again[:_NUM_EXAMPLES]
        ]
        if len(again) > _NUM_EXAMPLES:
            problems.append(f"{self._where(int(again[-1]))}: and {len(again) - _NUM_EXAMPLES:,} more ids occur again.")
        return problems

    def _where(self, index: int) -> str:
        # Find the last place that begins at or before `index`.
        low, high = 0, len(self._places)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._places[middle][0] <= index else (low, middle)
        start, file, number = self._places[low]
        return f"{file}:{number + index - start}"


class RowWeights:
    """Looks at the weight of every row, and says in one message which ones are none."""

    def __init__(self) -> None:
        self._wrong: list[str] = []
        self._num_wrong = self._num_zero = 0
        self._any_counts = False

    def counts(self, example: Example) -> bool:
        """Say whether a row is to be learned from: not one of weight 0, or of no weight where rows have weights."""
        if example.weight is None:
            return True
        if math.isnan(example.weight):
            self._note_wrong(example.record.file, example.record.number)
        self._num_zero += example.weight == 0
        self._any_counts |= example.weight > 0
        return example.weight > 0

    def counted(self, block: ExampleBlock) -> pa.RecordBatch:
        """Return the rows of a block that are to be learned from."""
        column = block.rows.column("weight")
        if column.null_count == len(column):
            return block.rows
        weights = column.to_numpy()
        if (weights > 0).all():
            self._any_counts = True
            return block.rows
        # NaN is no weight: it is told at the end, in the words for all such rows.
        for place in np.flatnonzero(np.isnan(weights)).tolist():
            self._note_wrong(block.file, block.rows.column("row")[place].as_py())
        self._num_zero += int((weights == 0).sum())
        self._any_counts |= bool((weights > 0).any())
        return block.rows.filter(pa.array(weights > 0))

    def _note_wrong(self, file: str, number: int) -> None:
        self._num_wrong += 1
        if len(self._wrong) < _NUM_EXAMPLES:
            self._wrong.append(f"{text_of_name(Path(file).name)}:{number}")

    def problems(self, column: str) -> list[str]:
        """Return one line about all rows of one source whose weight is none, or whose weights are all 0."""
        if self._num_wrong:
            more = f" and {self._num_wrong - len(self._wrong):,} more" if self._num_wrong > len(self._wrong) else ""
            rows = f"{self._num_wrong:,} row{'s' if self._num_wrong > 1 else ''}"
            return [
                f"{', '.join(self._wrong)}{more}: column {column!r}: the weight of {rows} is no number of at least 0. "
                "Correct them, or set data.weight_column to another column."
            ]
        if self._num_zero and not self._any_counts:
            return [f"column {column!r}: all {self._num_zero:,} weights are 0, so no row is left to learn from."]
        return []


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
            if not self.weights.counts(example):
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
