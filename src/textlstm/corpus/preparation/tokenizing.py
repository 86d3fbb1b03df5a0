"""Second pass: rows become tokens and tags, a part of about equal work at a time; finished parts stay."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from textlstm.arrays.strings import TokenColumn
from textlstm.config import Engine, TextConfig
from textlstm.corpus.preparation.reading import Ingested, IngestedSource
from textlstm.corpus.preparation.splitting import SPLITS, Assignment
from textlstm.corpus.prepared import PREPARED_SCHEMA, Split
from textlstm.processes.worker_group import WorkerGroup
from textlstm.storage.files import atomic_file
from textlstm.text.fingerprint import TextDescription, TextFingerprint
from textlstm.text.pipeline import TextPipeline
from textlstm.text.ray_workers import prepare_on_ray
from textlstm.text.spacy_models import uses_torch
from textlstm.text.tokenized import TokenizedTexts
from textlstm.text.workers import prepare_in_processes

PARTS = 64
"""A corpus is cut into about this many parts, as far as their limits allow."""
MIN_PART_BYTES, MAX_PART_BYTES = 1 << 16, 1 << 19
"""UTF-8 bytes of text in a part (about 10,000 to 80,000 words); a longer text is a part of its own."""
PART_ROWS = 4096


class Part(NamedTuple):
    """Some consecutive rows of a split; which ones depends on the rows alone, never on processes or time."""

    split: Split
    number: int
    rows: pa.Table

    def path(self, directory: Path) -> Path:
        """Return where the part stands."""
        return part_path(directory, self.split, self.number)


class Done(NamedTuple):
    """How much of the work is behind: rows, and tokens before filters."""

    rows: int
    words: int


def part_path(directory: Path, split: Split, number: int) -> Path:
    """Return the file of a part."""
    return directory / f"{split}-{number:06d}.arrow"


def tokenize_rows(
    ingested: Ingested,
    assignment: Assignment,
    *,
    directory: Path,
    text: TextConfig,
    saved: TextFingerprint | None,
    num_workers: int,
    engine: Engine,
    group: WorkerGroup | None,
    on_ready: Callable[[TextDescription], None],
    on_part: Callable[[Done], None],
) -> dict[Split, int]:
    """Write the parts of all splits that `directory` does not hold yet; return how many each split has.

    `group` are local workers that were started ahead. `on_ready` hears what the preparation says of itself, once.

    Raises:
        StorageError: a part cannot be written.
    """
    num_parts = dict.fromkeys(Split, 0)
    # Parts handed out, in order; results come in the same order, so each belongs to the first of them.
    waiting: deque[Part] = deque()
    num_rows = num_words = 0

    def missing_parts() -> Iterator[Sequence[str]]:
        nonlocal num_rows
        for part in _parts(ingested, assignment):
            num_parts[part.split] += 1
            # A part is whole or absent: one that a killed run left counts as done.
            if part.path(directory).exists():
                num_rows += part.rows.num_rows
                on_part(Done(num_rows, num_words))
            else:
                waiting.append(part)
                yield part.rows.column("text").to_pylist()

    blocks: Iterator[Sequence[str]] = missing_parts()
    first = next(blocks, None)
    # All parts are there: no worker is needed, only the description.
    if first is None:
        on_ready(TextPipeline(text, saved=saved, without_torch=not uses_torch(text)).description)
        return num_parts
    blocks = chain([first], blocks)
    if engine is Engine.ray:
        results = prepare_on_ray(text, blocks, num_workers=num_workers, saved=saved, on_ready=on_ready)
    else:
        results = prepare_in_processes(
            text, blocks, num_workers=num_workers, saved=saved, on_ready=on_ready, group=group
        )
    with closing(cast(Generator[TokenizedTexts], results)):  # ends the workers at once, whatever happens here
        for prepared in results:
            part = waiting.popleft()
            _write_part(part.path(directory), part.rows, prepared)
            num_rows += part.rows.num_rows
            # The part is on the disk by now; a kill from here on does not lose it.
            num_words += len(prepared.tokens) + int(prepared.num_removed.sum())
            on_part(Done(num_rows, num_words))
    return num_parts


def read_part(path: Path) -> pa.RecordBatch:
    """Return the one batch of a part."""
    with pa.OSFile(os.fsencode(path)) as stream, pa.ipc.open_stream(stream) as reader:
        return reader.read_next_batch()


def _parts(ingested: Ingested, assignment: Assignment) -> Iterator[Part]:
    # The size of parts follows from the rows files alone, so that a continued run cuts at the same rows.
    total_bytes = sum(source.path.stat().st_size for source in ingested.sources)
    part_bytes = min(max(total_bytes // PARTS, MIN_PART_BYTES), MAX_PART_BYTES)
    for split in Split:
        batches = chain.from_iterable(_rows_of(source, assignment, split) for source in ingested.sources)
        for number, rows in enumerate(_cut(batches, part_bytes=part_bytes)):
            yield Part(split, number, rows)


def _rows_of(source: IngestedSource, assignment: Assignment, split: Split) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a source that belong to a split; the file is read, not mapped, so that memory stays flat."""
    wanted = assignment.splits[source.split] == SPLITS.index(split)
    if not wanted.any():
        return
    start = 0
    with pa.OSFile(os.fsencode(source.path)) as stream, pa.ipc.open_stream(stream) as reader:
        for batch in reader:
            # (B,) of this batch, from (N,) of the whole source.
            mask = wanted[start : start + batch.num_rows]
            start += batch.num_rows
            if mask.any():
                yield batch.filter(pa.array(mask))


def _cut(batches: Iterator[pa.RecordBatch], *, part_bytes: int) -> Iterator[pa.Table]:
    """Yield tables of at most PART_ROWS rows and about `part_bytes` of text, filled from one batch to the next."""
    pieces: list[pa.RecordBatch] = []
    num_rows = num_bytes = 0
    for batch in batches:
        start = 0
        for row, size in enumerate(pc.binary_length(batch.column("text")).to_pylist()):
            # A part ends before the row that would overfill it; one row alone may be larger than the limit.
            if num_rows and (num_rows == PART_ROWS or num_bytes + size > part_bytes):
                yield _joined([*pieces, batch.slice(start, row - start)])
                pieces, start, num_rows, num_bytes = [], row, 0, 0
            num_rows += 1
            num_bytes += size
        # What is left of the batch belongs to a part that the next batch goes on with.
        pieces.append(batch.slice(start))
    if num_rows:
        yield _joined(pieces)


def _joined(pieces: list[pa.RecordBatch]) -> pa.Table:
    return pa.Table.from_batches([piece for piece in pieces if piece.num_rows]).combine_chunks()


def _strings(tokens: TokenColumn) -> pa.StringArray:
    # Each different token becomes an Arrow string once; Arrow repeats them, (M,).
    column = tokens.compact()
    distinct = pa.array(column.distinct, pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(column.numbers), distinct).dictionary_decode()


def _write_part(path: Path, rows: pa.Table, prepared: TokenizedTexts) -> None:
    # (M,) tokens and (M,) tags with the same (N+1,) offsets become N lists each.
    offsets = pa.array(prepared.offsets.astype(np.int32))
    tokens = pa.ListArray.from_arrays(offsets, _strings(prepared.tokens))
    if prepared.pos is None:
        pos = pa.nulls(rows.num_rows, pa.list_(pa.uint8()))
    else:
        pos = pa.ListArray.from_arrays(offsets, pa.array(prepared.pos, pa.uint8()))
    columns = {name: rows.column(name).combine_chunks() for name in rows.column_names}
    columns |= {"tokens": tokens, "pos": pos, "num_removed": pa.array(prepared.num_removed, pa.int32())}
    arrays = [_one_array(columns[name]) for name in PREPARED_SCHEMA.names]
    with atomic_file(path) as stream, pa.ipc.new_stream(stream, PREPARED_SCHEMA) as writer:
        writer.write_batch(pa.record_batch(arrays, schema=PREPARED_SCHEMA))


def _one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
