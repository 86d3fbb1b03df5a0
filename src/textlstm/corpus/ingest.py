"""First pass: every row is read, checked and stored; what the split needs to know of each stays in memory.

That is 12 bytes a row: a content hash and the number of its label set.
"""

import json
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from textlstm.config import DataConfig
from textlstm.corpus.examples import Example
from textlstm.corpus.records import Reject
from textlstm.corpus.sources import Source
from textlstm.corpus.splits import Hashes, Split, content_hash
from textlstm.corpus.storage import atomic_file
from textlstm.errors import InputError

ROW_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("labels", pa.list_(pa.string())),
        ("file", pa.string()),
        ("row", pa.int64()),
    ]
)
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


def ingest(sources: Sequence[Source], directory: Path, *, data: DataConfig, on_rows: Callable[[int], None]) -> Ingested:
    """Read all sources into `directory`; `on_rows` hears the number of rows so far.

    Raises:
        InputError: Everything that is wrong with all sources, together.
        StorageError: The rows cannot be written.
    """
    label_sets: dict[tuple[str, ...], int] = {}
    ingested: list[IngestedSource] = []
    problems: list[str] = []
    num_rows = num_rejects = 0
    rejects_path = directory / "rejects.jsonl"
    with atomic_file(rejects_path) as rejects:
        for source in sources:
            path = directory / f"rows-{source.split}.arrow"
            rows = _RowWriter(label_sets, rejects)
            try:
                with atomic_file(path) as stream:
                    for _ in rows.write(source, stream, limit=data.limit):
                        on_rows(num_rows + rows.num_rows)
            except InputError as error:
                problems += error.problems
            num_rows += rows.num_rows
            num_rejects += rows.num_rejects
            ingested.append(rows.finish(source.split, path))
    if problems:
        raise InputError(*problems)
    return Ingested(
        sources=tuple(ingested),
        label_sets=tuple(label_sets),
        num_rejects=num_rejects,
        rejects_path=rejects_path,
    )


class _RowWriter:
    """Writes the rows of one source as Arrow batches and collects hashes and label sets."""

    def __init__(self, label_sets: dict[tuple[str, ...], int], rejects: BinaryIO) -> None:
        self.num_rows = 0
        self.num_rejects = 0
        self._label_sets = label_sets
        self._rejects = rejects
        self._hashes = array("Q")
        self._label_set_ids = array("i")

    def write(self, source: Source, stream: BinaryIO, *, limit: int) -> Iterator[None]:
        """Write all rows; give control back after each batch."""
        with pa.ipc.new_stream(stream, ROW_SCHEMA) as writer:
            for batch in _batches(self._examples(source), limit=limit):
                writer.write_batch(batch)
                yield

    def finish(self, split: Split, path: Path) -> IngestedSource:
        """Return what was collected."""
        return IngestedSource(
            split=split,
            path=path,
            hashes=np.frombuffer(self._hashes, dtype=np.uint64) if self._hashes else np.zeros(0, np.uint64),
            label_set_ids=np.frombuffer(self._label_set_ids, dtype=np.int32) if self._hashes else np.zeros(0, np.int32),
        )

    def _examples(self, source: Source) -> Iterator[Example]:
        for example in source.examples():
            if isinstance(example, Reject):
                self.num_rejects += 1
                self._rejects.write(json.dumps(example._asdict(), ensure_ascii=True).encode() + b"\n")
                continue
            self.num_rows += 1
            self._hashes.append(content_hash(example.text))
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
            yield _record_batch(rows)
            rows, num_chars = [], 0
    if rows:
        yield _record_batch(rows)


def _record_batch(rows: Sequence[Example]) -> pa.RecordBatch:
    columns = [
        [row.id for row in rows],
        [row.text for row in rows],
        [list(row.labels) for row in rows],
        [Path(row.record.file).name for row in rows],
        [row.record.number for row in rows],
    ]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, ROW_SCHEMA, strict=True)]
    return pa.record_batch(arrays, schema=ROW_SCHEMA)
