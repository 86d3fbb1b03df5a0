"""Handle of the process beside a run that sends its outbox to MLflow.

It is a process and not a thread so that the run never imports MLflow (2 s, 170 MB), a hanging server can be left
behind at any moment, and a run that dies by kill -9 is still closed as KILLED.
"""

import contextlib
import json
import subprocess
import sys

from textlstm.processes.child import child_environment
from textlstm.tracking.outbox import JournalPaths
from textlstm.tracking.store import Store

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
