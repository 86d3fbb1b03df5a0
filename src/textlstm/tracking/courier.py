"""The process beside a run that carries its journal to MLflow.

It is a process and not a thread so that the run never imports MLflow (2 s, 170 MB), a hanging server can be left
behind at any moment, and a run that dies by kill -9 is still closed as KILLED.

Run as `python -m textlstm.tracking.courier`: the first line of standard input is a request as JSON (it may hold a
password, so it is no argument); the end of standard input says that the run has ended.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from textlstm.tracking.journal import EventKind, JournalPaths, JournalWriter, read_events, sending_lock
from textlstm.tracking.secrets import Redactor
from textlstm.tracking.sender import Sender
from textlstm.tracking.store import Store, configure_environment

_POLL_SECONDS = 0.1
_MAX_PAUSE_SECONDS = 5.0
_LAST_ATTEMPTS = 2


class Courier:
    """Handle of the courier process of one journal."""

    def __init__(self, paths: JournalPaths, store: Store, *, timeout_seconds: float) -> None:
        """Start the process; it gets the request through a pipe and none of the terminal's signals."""
        package_root = str(Path(__file__).resolve().parents[2])
        search_path = os.pathsep.join(part for part in (package_root, os.environ.get("PYTHONPATH", "")) if part)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "textlstm.tracking.courier"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": search_path, "OMP_NUM_THREADS": "1"},
        )
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

    def finish(self, *, timeout_seconds: float) -> None:
        """Say that the run has ended and wait until all is sent or the courier gives up; kill it after the timeout."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # it died; the next sync does its work
                self._process.stdin.close()
        try:
            self._process.wait(timeout=max(0.0, timeout_seconds))
        except subprocess.TimeoutExpired:
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


def carry(paths: JournalPaths, store: Store, *, run_ended: threading.Event) -> None:
    """Send the journal while it grows, until the run is closed and confirmed, or has ended and the store is silent."""
    sender = Sender(paths, store)
    last_attempts = 0
    while not (sender.is_complete() and run_ended.is_set()):
        ended = run_ended.is_set()
        if sender.pump():
            if sender.state.offset and ended and not _is_closed(paths):
                close_as_killed(paths)
            elif ended and sender.state.offset == paths.journal.stat().st_size:
                return
            if not ended:
                run_ended.wait(_POLL_SECONDS)
            continue
        last_attempts += ended
        if last_attempts >= _LAST_ATTEMPTS:
            return
        pause = min(_MAX_PAUSE_SECONDS, 0.25 * 2**sender.state.num_failures)
        time.sleep(0.5) if ended else run_ended.wait(pause)


def close_as_killed(paths: JournalPaths) -> None:
    """Write the end that a dead run could not write itself, with the time of its last sign of life."""
    last_sign = int(paths.journal.stat().st_mtime * 1000)
    with JournalWriter(paths, redactor=Redactor()) as journal:
        journal.append(EventKind.close, {"status": "KILLED", "time": last_sign})


def _is_closed(paths: JournalPaths) -> bool:
    kinds = [event.kind for event in read_events(paths.journal)]
    return bool(kinds) and kinds[-1] is EventKind.close


def main(request_stream: IO[bytes]) -> None:
    """Serve one request."""
    line = request_stream.readline()
    if not line:
        return
    request = json.loads(line)
    configure_environment(timeout_seconds=request["timeout_seconds"])
    store = Store(request["uri"], request["artifact_root"], Path(request["store_directory"]))
    paths = JournalPaths(Path(request["directory"]), request["key"])
    run_ended = threading.Event()

    threading.Thread(target=_watch, args=(request_stream, run_ended), daemon=True).start()
    threading.Thread(target=_watch_parent, args=(os.getppid(), run_ended), daemon=True).start()
    with sending_lock(paths) as held:
        if held:
            carry(paths, store, run_ended=run_ended)


def _watch(request_stream: IO[bytes], run_ended: threading.Event) -> None:
    request_stream.read()
    run_ended.set()


def _watch_parent(parent: int, run_ended: threading.Event) -> None:
    while os.getppid() == parent:  # a forked worker of the run may hold the pipe open when the run is killed
        time.sleep(1.0)
    run_ended.set()


if __name__ == "__main__":
    main(sys.stdin.buffer)
