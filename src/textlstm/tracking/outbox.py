"""The local record of a run, written before MLflow hears of anything.

One JSON object a line in `<tracking.dir>/journal/<key>.jsonl`, fsynced; files wait in `<key>.files/` until they are
sent. `<key>.state.json` says how far the sending has come. The sender holds a lock on `<key>.lock`.
"""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Self

from textlstm.errors import StorageError
from textlstm.processes.child import child_environment
from textlstm.storage.files import atomic_file
from textlstm.tracking.secrets import Redactor
from textlstm.tracking.store import Store


class EventKind(StrEnum):
    """What a line of the journal says."""

    open = "open"
    params = "params"
    metrics = "metrics"
    tags = "tags"
    artifact = "artifact"
    dataset = "dataset"
    model = "model"
    close = "close"


class Event(NamedTuple):
    """One line of a journal."""

    kind: EventKind
    data: dict[str, object]
    end: int
    """Byte offset in the journal just behind this event."""


class JournalPaths(NamedTuple):
    """Files of the journal called `key`."""

    directory: Path
    key: str

    @property
    def journal(self) -> Path:
        """The events."""
        return self.directory / f"{self.key}.jsonl"

    @property
    def state(self) -> Path:
        """How far the sending has come."""
        return self.directory / f"{self.key}.state.json"

    @property
    def lock(self) -> Path:
        """Held by the process that sends."""
        return self.directory / f"{self.key}.lock"

    @property
    def files(self) -> Path:
        """Copies of artefacts that wait to be sent."""
        return self.directory / f"{self.key}.files"


def encodable(text: str) -> str:
    """Return `text` with escapes for what UTF-8 cannot encode, such as bytes of paths in another encoding."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def encodable_data(value: Any) -> Any:
    """Return plain data (dicts, lists, strings, numbers) with every string `encodable`."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {encodable(str(key)): encodable_data(inner) for key, inner in value.items()}
    return [encodable_data(inner) for inner in value] if isinstance(value, list) else value


def now_ms() -> int:
    """Return milliseconds since the epoch."""
    return int(time.time() * 1000)


def new_key() -> str:
    """Return a new journal key that sorts by time, such as 20261121-101502-1f2e3d4c."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"


class JournalWriter:
    """Appends events to one journal; each is on the disk when `append` returns."""

    def __init__(self, paths: JournalPaths, *, redactor: Redactor) -> None:
        """Open the journal for appending; a line that a crash left unfinished is cut off.

        Raises:
            StorageError: The folder or the file cannot be written.
        """
        self.paths = paths
        self._redactor = redactor
        self._num_files = 0
        try:
            paths.directory.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(paths.journal, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            # A crash may have left half a line: nothing may be appended to it.
            os.ftruncate(self._descriptor, _complete_size(paths.journal))
        except OSError as error:
            raise _storage_error(paths.journal, error) from error

    def append(self, kind: EventKind, data: Mapping[str, object], *, sync: bool = True) -> None:
        """Write one event with its secrets masked.

        Raises:
            StorageError: The disk is full or fails.
        """
        event = {"kind": kind.value, "time": now_ms(), **data}
        # nan and inf are no JSON: callers write them as text.
        line = json.dumps(self._redactor.data(event), ensure_ascii=True, allow_nan=False) + "\n"
        try:
            remaining = memoryview(line.encode())
            # One call may write only a part.
            while remaining:
                remaining = remaining[os.write(self._descriptor, remaining) :]
            # Without sync, an event survives the end of the process but perhaps not a crash of the machine.
            if sync:
                os.fsync(self._descriptor)
        except OSError as error:
            raise _storage_error(self.paths.journal, error) from error

    def keep_copy(self, source: Path) -> str:
        """Copy a file or folder beside the journal; return the copy's path relative to the journal's folder.

        Raises:
            StorageError: It cannot be read, or the copy cannot be written.
        """
        self._num_files += 1
        # A folder of its own for each copy, so that files of one name never meet.
        target = self.paths.files / f"{now_ms()}-{self._num_files}" / encodable(source.name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copyfile(source, target)
        except (OSError, shutil.Error) as error:
            raise _storage_error(source, error) from error
        return str(target.relative_to(self.paths.directory))

    def close(self) -> None:
        """Close the file; twice does no harm."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_events(path: Path, *, start: int = 0) -> Iterator[Event]:
    """Yield the complete events of the journal at `path` from byte `start` on; an unfinished last line is left out."""
    with path.open("rb") as file:
        file.seek(start)
        end = start
        for line in file:
            # The writer may be in the middle of this line; the next call reads it.
            if not line.endswith(b"\n"):
                return
            end += len(line)
            data = json.loads(line)
            yield Event(EventKind(data.pop("kind")), data, end)


def list_journals(directory: Path) -> list[JournalPaths]:
    """Return the journals in `directory`, oldest first."""
    return [JournalPaths(directory, path.stem) for path in sorted(directory.glob("*.jsonl"))]


def _complete_size(path: Path) -> int:
    # What follows the last line feed is half an event.
    raw = path.read_bytes()
    return raw.rfind(b"\n") + 1


def _storage_error(path: Path, error: OSError) -> StorageError:
    reason = error.strerror or str(error)
    return StorageError(f"{path}: {reason}. The journal of the run needs room and permission under tracking.dir.")


# How far the sending of a journal has come; kept in a small file that is replaced as a whole.


@dataclass(slots=True)
class SendState:
    """What the store has confirmed of one journal."""

    run_id: str = ""
    """MLflow run id; empty until the store has created the run."""
    experiment_id: str = ""
    offset: int = 0
    """Bytes of the journal whose events are confirmed, or set aside."""
    set_aside: list[int] = field(default_factory=list)
    """Ends (byte offsets) of events that failed for a passing reason and are tried again."""
    refused: dict[str, str] = field(default_factory=dict)
    """Events that the store will never take: end offset and reason."""
    model_name: str = ""
    """Name under which the model is registered."""
    model_version: str = ""
    """Version in the registry that the run registered."""
    is_champion: bool = False
    """Whether that version got the alias `champion`."""
    last_error: str = ""
    """Why the sending stopped last time; empty while it works."""
    is_lasting: bool = False
    """Whether `last_error` is of a kind that does not pass by itself, such as a deleted experiment."""
    num_failures: int = 0
    """Failed requests in a row."""
    closed: bool = False
    """The last confirmed event is the end of the run."""

    def is_complete(self, journal: Path) -> bool:
        """Return whether the run has ended and all of its `journal` is confirmed."""
        return self.closed and not self.set_aside and self.offset == journal.stat().st_size


def load_state(path: Path) -> SendState:
    """Return the state at `path`; a file that is absent or unreadable means that nothing is confirmed."""
    try:
        return SendState(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return SendState()


def save_state(path: Path, state: SendState) -> None:
    """Replace the state at `path`."""
    with atomic_file(path) as stream:
        stream.write(json.dumps(asdict(state)).encode())


# The process beside a run that sends its outbox to MLflow. It is a process and not a thread so that the run never
# imports MLflow (2 s, 170 MB), a hanging server can be left behind at any moment, and a run that dies by kill -9 is
# still closed as KILLED.

_MODULE = "textlstm.tracking.background"


class OutboxProcess:
    """Handle of the outbox process of one journal."""

    def __init__(self, paths: JournalPaths, store: Store, *, timeout_seconds: float) -> None:
        """Start the process; it gets the request through a pipe and none of the terminal's signals."""
        self._process = subprocess.Popen(  # noqa: S603  (our own module, no shell)
            [sys.executable, "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=child_environment(),
        )
        # The address may hold a password, so it goes through the pipe and not into the command line.
        request = {
            "directory": str(paths.directory),
            "key": paths.key,
            "uri": store.uri,
            "artifact_root": store.artifact_root,
            "store_directory": str(store.directory),
            "timeout_seconds": timeout_seconds,
        }
        self._write(json.dumps(request) + "\n")

    def is_running(self) -> bool:
        """Return whether the process lives."""
        return self._process.poll() is None

    def finish(self, *, timeout_seconds: float, kill: bool = True) -> None:
        """Say that the run has ended and wait until all is sent or the outbox process gives up.

        Args:
            timeout_seconds: How long to wait.
            kill: End it after that; else leave it behind, it ends by itself soon after.
        """
        # The end of standard input tells the process that the run has ended.
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # it died; the next sync does its work
                self._process.stdin.close()
        try:
            self._process.wait(timeout=max(0.0, timeout_seconds))
        except subprocess.TimeoutExpired:
            # The journal is complete, so a later sync sends what is still missing.
            if kill:
                self._process.kill()
                self._process.wait()

    def _write(self, line: str) -> None:
        if self._process.stdin is None:
            return
        try:
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()
        except OSError:
            return  # it died at once; the journal is complete and the next sync sends it
