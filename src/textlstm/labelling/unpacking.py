"""Copies of inputs in the work folder, in which shards can seek: of packed files, pipes and workbooks."""

import hashlib
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from textlstm.config import FileFormat
from textlstm.corpus.rows.lines import LineInput
from textlstm.corpus.rows.readers import read_records
from textlstm.corpus.rows.records import Reject
from textlstm.corpus.rows.settings import ReadSettings
from textlstm.corpus.rows.streams import read_blocks
from textlstm.corpus.rows.writers import record_writer
from textlstm.errors import InputError
from textlstm.labelling.inputs import scratch_folder
from textlstm.storage.databases import is_database
from textlstm.storage.stores import LocalStore, Store


class Unpacked(NamedTuple):
    """Where plain copies of packed inputs go."""

    store: Store
    folder: str
    scratch: str


def unpacked_beside(store: Store, work: str, scratch: str) -> Unpacked:
    """Return where the copies of a job with this work folder go; beside a table, into a folder of this machine."""
    # A copy is made anew by each run and may be large: a database need not hold it.
    if is_database(store.root):
        return Unpacked(LocalStore(scratch_folder()), "inputs", "unfinished")
    return Unpacked(store, f"{work}/inputs", scratch)


def unpack(source: LineInput, *, name: str, unpacked: Unpacked) -> tuple[str, int]:
    """Write the plain bytes of `source` as `name`; return their sha256 (hex) and how many there are."""
    digest, num_bytes = hashlib.sha256(), 0
    blocks = read_blocks(source.path, compression=source.kind.compression, max_expansion=source.settings.max_expansion)
    with closing(blocks), unpacked.store.create(name, scratch=unpacked.scratch) as stream:
        for block in source.plain(blocks):
            stream.write(block)
            digest.update(block)
            num_bytes += len(block)
    if num_bytes == 0:
        raise InputError(f"{source.name}: is empty (0 bytes).")
    return digest.hexdigest(), num_bytes


def copy_rows(path: Path, reading: ReadSettings, *, name: str, unpacked: Unpacked) -> None:
    """Write the rows of a workbook as JSONL under `name`.

    Raises:
        InputError: It cannot be read, or one of its rows.
    """
    with unpacked.store.create(name, scratch=unpacked.scratch) as stream:
        writer = record_writer(stream, FileFormat.jsonl)
        for row in read_records(path, reading):
            if isinstance(row, Reject):
                raise InputError(f"{path}:{row.number}: {row.reason}. Mend the row, or save the sheet as CSV.")
            writer.write(row.fields)
        writer.close()
