"""Where a run was made: commit, uncommitted changes and lock file; load and memory of the machine while it goes on."""

import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from textlstm.storage.files import sha256_of_file

# Which code a run was made with: commit, uncommitted changes, lock file.

_GIT_SECONDS = 5.0
_LOCK_NAME = "requirements.lock"
_CODE = ("src", "conf", "pyproject.toml", _LOCK_NAME)  # other files may hold texts of rows


class SourceState(NamedTuple):
    """The code at the start of a run; empty strings where there is no git or no lock file."""

    commit: str
    diff: str
    """Uncommitted changes of code and settings, as a patch."""
    lock_digest: str
    """sha256 of requirements.lock."""


def read_source_state() -> SourceState:
    """Return the state of the checkout that this package runs from; an installed wheel has none."""
    # The folder above src, when this file is src/textlstm/tracking/environment.py.
    root = Path(__file__).resolve().parents[3]
    lock = root / _LOCK_NAME
    lock_digest = sha256_of_file(lock) if lock.is_file() else ""
    if not (root / ".git").exists():
        return SourceState("", "", lock_digest)
    return SourceState(_git(root, "rev-parse", "HEAD").strip(), _git(root, "diff", "HEAD", "--", *_CODE), lock_digest)


def _git(root: Path, *arguments: str) -> str:
    try:
        # Without optional locks: this must not get in the way of a git command of the user.
        result = subprocess.run(  # noqa: S603
            ["git", "-C", str(root), "--no-optional-locks", *arguments],  # noqa: S607  (the user's git)
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.decode("utf-8", "replace") if result.returncode == 0 else ""


_SECONDS_BETWEEN = 10.0
_MEGABYTE = 1e6


class SystemSampler:
    """Calls back with `system/...` metrics every 10 s from a thread of its own; nothing without psutil."""

    def __init__(self, record: Callable[[Mapping[str, float], int], None]) -> None:
        """Start sampling."""
        self._record = record
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="system-metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop; no call comes after this returns."""
        self._stopped.set()
        self._thread.join()

    def _sample(self) -> None:
        try:
            import psutil
        except ImportError:
            return
        process = psutil.Process()
        # The first call of each only sets the moment from which the next call measures.
        psutil.cpu_percent()
        process.cpu_percent()
        step = 0
        while not self._stopped.wait(_SECONDS_BETWEEN):
            try:
                self._record(_read(psutil, process), step)
            except Exception:
                # Figures of the machine are no reason to fail a run: sampling stops.
                return
            step += 1


def _read(psutil: Any, process: Any) -> dict[str, float]:
    memory = psutil.virtual_memory()
    return {
        "system/cpu_utilization_percentage": float(psutil.cpu_percent()),
        "system/system_memory_usage_megabytes": memory.used / _MEGABYTE,
        "system/system_memory_usage_percentage": float(memory.percent),
        "system/process_cpu_percentage": float(process.cpu_percent()),
        "system/process_memory_megabytes": process.memory_info().rss / _MEGABYTE,
    }
