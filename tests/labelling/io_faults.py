"""Makes the n-th write operation of the labelling stores fail, or kill the process, at will."""

import io
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from textlstm.storage import files

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

    real_open, real_replace = Path.open, Path.replace

    def faulty_open(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if mode != "wb":
            return real_open(path, mode, *args, **kwargs)
        action("open", str(path))
        return FaultyFile(path, mode)

    def faulty_fsync(descriptor: int) -> None:
        action("fsync", "")
        os.fsync(descriptor)

    def faulty_replace(source: Path, target: Any) -> Path:
        action("replace", str(target))
        return real_replace(source, target)

    faulty_os: Any = SimpleNamespace(**{**vars(os), "fsync": faulty_fsync})
    Path.open, Path.replace = faulty_open, faulty_replace  # type: ignore[assignment, method-assign]
    files.os = faulty_os
    try:
        yield
    finally:
        Path.open, Path.replace = real_open, real_replace  # type: ignore[method-assign]
        files.os = os
