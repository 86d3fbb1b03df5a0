"""One job at a time on one output: a lock that ends with the last process that holds it."""

import fcntl
import os
import time
from pathlib import Path

from textlstm.errors import InputError
from textlstm.storage.stores import storage_errors

PATIENCE_SECONDS = 5.0
"""Orphans of a killed job notice within a second that their parent is gone; wait at most this long for them."""


class OutputLock:
    """An flock on `<work folder>/lock`; workers inherit it, so that it outlives a killed parent until they end."""

    def __init__(self, work_dir: Path, *, output: str) -> None:
        """Take the lock.

        Raises:
            InputError: Another command is labelling into the same output.
            StorageError: The work folder cannot be made.
        """
        self._path = work_dir / "lock"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._try():
            if time.monotonic() > deadline:
                raise InputError(
                    f"{output}: another textlstm is labelling into it; wait for it, or choose another output"
                )
            time.sleep(0.1)

    def _try(self) -> bool:
        with storage_errors(str(self._path)):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self.descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The holder before us may have removed the folder between our open and our lock.
            if os.fstat(self.descriptor).st_ino == self._path.stat().st_ino:
                return True
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(self.descriptor)
        return False

    def release(self) -> None:
        """Let go of the lock."""
        os.close(self.descriptor)
