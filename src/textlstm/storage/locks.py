"""Locks between processes, on a file that the system unlocks when its last holder dies."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from textlstm.errors import InputError
from textlstm.storage.files import storage_errors
from textlstm.storage.stores import OUTPUT_REMEDY

PATIENCE_SECONDS = 5.0
"""Orphans of a killed job notice within a second that their parent is gone; wait at most this long for them."""


@contextmanager
def exclusive_lock(path: Path, *, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock file `path` until the end of the block; wait for another holder.

    Args:
        path: The file, made if it is absent; it stays.
        on_wait: Called once if another process holds the lock.

    Raises:
        StorageError: The lock file cannot be made.
    """
    # The system unlocks with the last descriptor, so a kill leaves nothing to clean up.
    descriptor = _open(path)
    try:
        # The first try must not block: only after it fails is the user told about the wait.
        if not _take(descriptor):
            if on_wait is not None:
                on_wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Try to take the lock file `path` until the end of the block; give whether that worked. Never waits.

    Raises:
        StorageError: The lock file cannot be made.
    """
    descriptor = _open(path)
    try:
        yield _take(descriptor)
    finally:
        os.close(descriptor)


class OutputLock:
    """An flock on `<work folder>/lock`; workers inherit it, so that it outlives a killed parent until they end."""

    def __init__(self, work_dir: Path, *, output: str) -> None:
        """Take the lock.

        Raises:
            InputError: Another command is labelling into the same output.
            StorageError: The work folder cannot be made.
        """
        self._path = work_dir / "lock"
        # Workers of a killed command hold the lock until they notice its end, so a first miss proves nothing.
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._try():
            if time.monotonic() > deadline:
                raise InputError(
                    f"{output}: another textlstm is labelling into it; wait for it, or choose another output"
                )
            time.sleep(0.1)

    def _try(self) -> bool:
        self.descriptor = _open(self._path, remedy=OUTPUT_REMEDY)
        try:
            # The holder before us may have removed the folder between our open and our lock.
            if _take(self.descriptor) and os.fstat(self.descriptor).st_ino == self._path.stat().st_ino:
                return True
        except FileNotFoundError:
            pass
        os.close(self.descriptor)
        return False

    def release(self) -> None:
        """Let go of the lock."""
        # Workers hold the same lock by their own copies of the descriptor; it is free when all of them are closed.
        os.close(self.descriptor)


def _open(path: Path, *, remedy: str = "") -> int:
    """Return a descriptor of the lock file `path`, which is made if it is absent."""
    with storage_errors(path, remedy=remedy):
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _take(descriptor: int) -> bool:
    """Say whether the lock was free and is now held through `descriptor`."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
