"""What is done already: one signed record a finished shard, written after its part, never changed.

A shard counts as done when its record is there and the part has the sha256 that the record names. So a kill at any
moment leaves either a done shard or one that is done again.
"""

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import BinaryIO

from textlstm.errors import IntegrityError
from textlstm.labelling.plan import Shard, checked_body, signed
from textlstm.storage.stores import Store

# A binary stream that hashes what passes through it.

_WAITING_BYTES = 2**18


class DigestStream(io.RawIOBase):
    """Writes on to another stream, which stays open when this one is closed.

    To pass on a short line takes longer than to make it, so lines are collected; `flush` passes them on.
    """

    def __init__(self, stream: BinaryIO) -> None:
        """Write on to `stream`."""
        super().__init__()
        self._stream = stream
        self._digest = hashlib.sha256()
        self._waiting: list[bytes] = []
        self._num_waiting = 0
        self.num_bytes = 0

    def writable(self) -> bool:
        """Say that it is for writing."""
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]
        """Write, hash and count `content`."""
        self._waiting.append(bytes(content))  # a copy only of what may change, such as a memoryview
        size = len(self._waiting[-1])
        self._num_waiting += size
        self.num_bytes += size
        if self._num_waiting >= _WAITING_BYTES:
            self.flush()
        return size

    def flush(self) -> None:
        """Pass on and hash what waits, if anything does."""
        if not self._waiting:
            return
        content = b"".join(self._waiting)
        self._waiting, self._num_waiting = [], 0
        self._digest.update(content)
        self._stream.write(content)

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self.num_bytes

    @property
    def sha256(self) -> str:
        """sha256 (hex) of everything written so far."""
        self.flush()
        return self._digest.hexdigest()


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """The result of one shard."""

    number: int
    num_rows: int
    """Rows in the part; with `num_rejects` they are the rows of the shard."""
    num_rejects: int
    sha256: str
    """Of the part's bytes."""
    rejects_sha256: str
    """Of the bytes of the rejected rows' lines; of nothing when there are none."""
    labels: Mapping[str, int]
    """Rows by label."""
    decisions: Mapping[str, int]
    """Rows by decision."""
    confidence_sum: float
    """Sum of the probabilities of the rows with a text."""
    seconds: Mapping[str, float]
    """Time by step: read, predict, write."""
    num_seen: int | None = None
    """Rows whose text the model learned from; None where that is not known."""
    num_without_network: int = 0
    """Rows that the linear expert decided alone."""
    jobs: Sequence[Sequence[int]] = ()
    """Which job labelled the rows of the part, as runs of [job, rows] in order: 0 is this job, 1 the one whose output
    it keeps, 2 the one before that. Empty: this job labelled all of them."""

    @property
    def row_total(self) -> int:
        """Rows in the input range."""
        return self.num_rows + self.num_rejects

    @property
    def num_kept(self) -> int:
        """Rows whose label is that of an earlier output."""
        return sum(rows for job, rows in self.jobs if job)


def known_sum(*counts: int | None) -> int | None:
    """Return the sum of the counts that are known; None where none is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


class Journal:
    """Parts, rejects and records of one plan, in a folder of the store."""

    def __init__(self, store: Store, folder: str, *, scratch: str) -> None:
        """Keep everything in `folder`; temporary names go to `scratch`."""
        self.store = store
        self.folder = folder
        self._scratch = scratch

    def part_name(self, index: int) -> str:
        """Return the name of the part of shard `index`."""
        return f"{self.folder}/{index:08d}.part"

    def rejects_name(self, index: int) -> str:
        """Return the name of the rejected rows of shard `index`; no such file when there are none."""
        return f"{self.folder}/{index:08d}.rejects"

    def record_name(self, index: int) -> str:
        """Return the name of the record of shard `index`."""
        return f"{self.folder}/{index:08d}.done"

    @contextmanager
    def part(self, index: int) -> Iterator[DigestStream]:
        """Give a stream for the part of shard `index`; it appears complete, after the block.

        Raises:
            StorageError: The part cannot be written.
        """
        # A kill within the block leaves no part: the bytes have a temporary name until the block ends.
        with self.store.create(self.part_name(index), scratch=self._scratch) as stream:
            part = DigestStream(stream)
            yield part
            # Before the file gets its name: what still waits here is not in it.
            part.flush()

    def finish(self, record: ShardRecord, *, rejects: bytes) -> None:
        """Store the rejected rows, then the record: from now on the shard is done.

        Raises:
            StorageError: A file cannot be written.
        """
        # Part, rejects, record, in this order: a kill before the record leaves a shard that is done again.
        if rejects:
            with self.store.create(self.rejects_name(record.number), scratch=self._scratch) as stream:
                stream.write(rejects)
        with self.store.create(self.record_name(record.number), scratch=self._scratch) as stream:
            stream.write(signed("shard", asdict(record)))

    def done(self, shards: tuple[Shard, ...]) -> dict[int, ShardRecord]:
        """Return the records of finished shards by index; a record whose part is missing does not count.

        Raises:
            IntegrityError: A record was changed, or does not fit its shard.
        """
        # One listing instead of two look-ups a shard, each of which is a request to a remote store.
        names = set(self.store.names(self.folder))
        found = {}
        for shard in shards:
            wanted = [self.record_name(shard.number), self.part_name(shard.number)]
            if all(name.rpartition("/")[2] in names for name in wanted):
                found[shard.number] = self.record(shard)
        return found

    def record(self, shard: Shard) -> ShardRecord:
        """Return the record of a finished shard.

        Raises:
            IntegrityError: It was changed, or does not fit the shard.
        """
        name = self.record_name(shard.number)
        address = self.store.address(name)
        with self.store.open(name) as stream:
            body = checked_body(stream.read(), "shard", address=address)
        # Records of earlier versions lack what was counted later.
        later = {"num_seen", "num_without_network", "jobs"}
        if not isinstance(body, dict) or set(body) | later != {field.name for field in fields(ShardRecord)}:
            raise IntegrityError(f"{address}: written by another textlstm; run again with overwrite=true")
        record = ShardRecord(**body)
        if record.number != shard.number or record.row_total != shard.num_rows:
            raise IntegrityError(
                f"{address}: {record.row_total} rows in a shard of {shard.num_rows}; run again with overwrite=true"
            )
        return record

    def read_part(self, record: ShardRecord) -> bytes:
        """Return the checked bytes of a part.

        Raises:
            IntegrityError: They do not match the record.
        """
        return self._checked(self.part_name(record.number), record.sha256)

    def read_rejects(self, record: ShardRecord) -> bytes:
        """Return the checked lines of the rejected rows of a shard.

        Raises:
            IntegrityError: They do not match the record.
        """
        if not record.num_rejects:
            return b""
        return self._checked(self.rejects_name(record.number), record.rejects_sha256)

    def _checked(self, name: str, sha256: str) -> bytes:
        address = self.store.address(name)
        try:
            with self.store.open(name) as stream:
                content = stream.read()
        except FileNotFoundError as error:
            raise IntegrityError(f"{address}: missing; run again with overwrite=true to start anew") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise IntegrityError(
                f"{address}: does not match its journal record; run again with overwrite=true to start anew"
            )
        return content
