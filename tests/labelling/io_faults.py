"""Makes the n-th write operation of the labelling stores fail, or kill the process, at will."""

import io
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from textlstm.storage import files, stores

Action = Callable[[str, str], None]
"""Called as action(operation, path) before each open, write, fsync and replace; raises or kills to make it fail."""


def raise_at(at: int, number: int) -> Action:
    """Return an action that raises OSError `number` (an errno) on the operation number `at`, counted from 1."""
    seen = 0

    def action(operation: str, path: str) -> None:
        nonlocal seen
        seen += 1
        if seen == at:
            raise OSError(number, os.strerror(number), path)

    return action


def kill_at(at: int, *, operation: str = "", ending: str = "") -> Action:
    """Return an action that kills this process on the `at`-th matching operation (a write leaves half its bytes)."""
    seen = 0

    def action(found: str, path: str) -> None:
        nonlocal seen
        if (operation and found != operation) or not path.endswith(ending):
            return
        seen += 1
        if seen == at:
            os.kill(os.getpid(), signal.SIGKILL)

    return action


@contextmanager
def faulty_store(action: Action) -> Iterator[None]:
    """Run `action` before every operation of `stores.LocalStore` in this process."""

    class FaultyFile(io.FileIO):
        def write(self, content: Any) -> int:
            data = bytes(content)
            super().write(data[: len(data) // 2])
            action("write", str(self.name))
            super().write(data[len(data) // 2 :])
            return len(data)

    def faulty_open(path: Any, mode: str) -> io.FileIO:
        action("open", str(path))
        return FaultyFile(path, mode)

    def faulty_fsync(descriptor: int) -> None:
        action("fsync", "")
        os.fsync(descriptor)

    def faulty_replace(source: Any, target: Any) -> None:
        action("replace", str(target))
        os.replace(source, target)  # noqa: PTH105

    faulty_os: Any = SimpleNamespace(**{**vars(os), "fsync": faulty_fsync, "replace": faulty_replace})
    real_io = stores.io
    stores.io = SimpleNamespace(open=faulty_open)  # type: ignore[assignment]
    stores.os = files.os = faulty_os  # folders are synced in `files`
    try:
        yield
    finally:
        stores.io, stores.os, files.os = real_io, os, os
