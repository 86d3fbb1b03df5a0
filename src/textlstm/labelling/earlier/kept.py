"""What a job takes over: parts of the earlier output as they are, and labels of rows by the digest of their text.

The label of a row depends on its text alone, so a text that is in the earlier output needs no model.
"""

import hashlib
import json
import mmap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from textlstm.corpus.rows.streams import FileState, check_unchanged
from textlstm.labelling.inputs import local_path
from textlstm.storage.stores import Store

if TYPE_CHECKING:
    import pyarrow as pa

# Whole parts.


class KeptParts(NamedTuple):
    """Where parts of the new output stand in the earlier one."""

    path: Path
    state: FileState
    """What the file was when its sha256 was compared with the manifest."""
    places: Mapping[int, tuple[int, int]]
    """First and last (excluded) byte, or row group of Parquet, by the number of the shard in the new plan."""

    def read(self, number: int) -> bytes:
        """Return the bytes of the part of shard `number`.

        Raises:
            InputError: The earlier output was changed since it was checked.
        """
        check_unchanged(self.path, self.state)
        first, last = self.places[number]
        with self.path.open("rb") as stream:
            stream.seek(first)
            return stream.read(last - first)

    def tables(self, number: int) -> "Iterator[pa.Table]":
        """Yield the row groups of the part of shard `number` of a Parquet output.

        Raises:
            InputError: The earlier output was changed since it was checked.
        """
        import pyarrow.parquet as pq

        check_unchanged(self.path, self.state)
        with pq.ParquetFile(self.path) as file:
            yield from map(file.read_row_group, range(*self.places[number]))


# Single rows.


class KnownRow(NamedTuple):
    """The label of a text in an earlier output."""

    job: int
    """Which job labelled it, as in `ShardRecord.jobs`."""
    values: dict[str, object]
    """The added columns, without the source of the row."""


_VALUES, _INDEX = "known.jsonl", "known.index"
_ENTRY = np.dtype([("first", "<u8"), ("second", "<u8"), ("place", "<u8")])
"""128 bits of a text's digest, and the byte at which its line of values begins."""


def write_known_rows(store: Store, folder: str, rows: Iterable[tuple[str, KnownRow]], *, scratch: str) -> None:
    """Write the rows, each with its text, into `folder` of the store; 24 bytes of memory a row are needed.

    Raises:
        StorageError: The folder cannot be written.
    """
    entries = bytearray()
    place = 0
    with store.create(f"{folder}/{_VALUES}", scratch=scratch) as stream:
        for text, row in rows:
            line = json.dumps(row, ensure_ascii=False).encode("utf-8") + b"\n"
            entries += _digest(text) + place.to_bytes(8, "little")
            stream.write(line)
            place += len(line)
    # Sorted by digest for the search; the stable sort keeps the first of several rows with one text in front.
    index = np.frombuffer(bytes(entries), dtype=_ENTRY)
    index = index[np.argsort(index["first"], kind="stable")]
    # The index comes last: where it is, the values are complete.
    with store.create(f"{folder}/{_INDEX}", scratch=scratch) as stream:
        stream.write(index.tobytes())


def has_known_rows(store: Store, folder: str) -> bool:
    """Say whether `write_known_rows` came to its end in `folder`."""
    return store.exists(f"{folder}/{_INDEX}")


class KnownRows:
    """Looks up texts; the files are mapped, so that many processes share their memory."""

    def __init__(self, address: str) -> None:
        """Open what `write_known_rows` wrote into the folder at `address`, a path or URL."""
        path, values = local_path(f"{address}/{_INDEX}"), local_path(f"{address}/{_VALUES}")
        # An empty file cannot be mapped.
        is_empty = path.stat().st_size == 0
        self._index = np.zeros(0, _ENTRY) if is_empty else np.memmap(path, dtype=_ENTRY, mode="r")
        with ExitStack() as stack:
            stream = stack.enter_context(values.open("rb"))
            self._values = None if is_empty else mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)

    def find(self, texts: Sequence[str]) -> list[KnownRow | None]:
        """Return the known row of each text, None for a new one."""
        if self._values is None or not texts:
            return [None] * len(texts)
        # (N, 2) halves of the digests; equal first halves are followed until the second one agrees.
        wanted = np.frombuffer(b"".join(map(_digest, texts)), dtype="<u8").reshape(-1, 2)
        places = np.searchsorted(self._index["first"], wanted[:, 0])
        return [self._row_at(int(place), first, second) for place, (first, second) in zip(places, wanted, strict=True)]

    def _row_at(self, place: int, first: np.uint64, second: np.uint64) -> KnownRow | None:
        assert self._values is not None
        while place < len(self._index) and self._index["first"][place] == first:
            entry = self._index[place]
            if entry["second"] == second:
                begin = int(entry["place"])
                return KnownRow(*json.loads(self._values[begin : self._values.find(b"\n", begin)]))
            place += 1
        return None


@lru_cache(maxsize=1)
def open_known_rows(address: str) -> KnownRows:
    """Return the known rows at `address`, opened once a process."""
    return KnownRows(address)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8"), digest_size=16).digest()
