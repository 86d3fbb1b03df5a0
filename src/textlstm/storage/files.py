"""Files that are either complete or absent, locks between processes, and one-line errors for a failing disk."""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from textlstm.errors import IntegrityError, StorageError
from textlstm.storage.outputs import output_file


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` of writing under `path` into one line.

    Raises:
        StorageError: The disk is full, read-only or fails.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = "Free space, or choose a folder that can be written."
        raise StorageError(f"{path}: cannot be written: {reason}. {remedy}") from error


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Give a stream whose bytes stand at `path` only after a clean end, flushed to the disk; links are followed.

    Raises:
        InputError: `path` is a pipe or a device.
        StorageError: The file cannot be written; nothing is left behind.
    """
    path = output_file(path)
    temporary = path.with_name(f"{path.name}.tmp")
    with storage_errors(path):
        try:
            with temporary.open("wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` survive a power cut.

    Raises:
        StorageError: The folder cannot be synchronized.
    """
    with storage_errors(directory):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def exclusive_lock(path: Path, *, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock file `path` until the end of the block; a process that dies lets go of it.

    `on_wait` is called once if another process holds the lock.

    Raises:
        StorageError: The lock file cannot be made.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("ab")
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def sha256_of_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_files(directory: Path, digests: dict[str, str], *, remedy: str) -> None:
    """Compare each file of `directory` named in `digests` with its recorded sha256.

    Raises:
        IntegrityError: Files are missing or differ; one line each.
    """
    problems = []
    for name, digest in digests.items():
        path = directory / name
        if not path.is_file():
            problems.append(f"{path}: is missing. {remedy}")
        elif sha256_of_file(path) != digest:
            problems.append(f"{path}: its content does not match the recorded sha256. {remedy}")
    if problems:
        raise IntegrityError(*problems)
