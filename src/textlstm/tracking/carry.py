"""The courier process itself: `python -m textlstm.tracking.carry`, started by `Courier`.

The first line of standard input is a request as JSON (it may hold a password, so it is no argument); the end of
standard input says that the run has ended, in whatever way.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import IO

from textlstm.tracking.closing import close_as_killed, is_closed
from textlstm.tracking.journal import JournalPaths, sending_lock
from textlstm.tracking.sender import Sender
from textlstm.tracking.store import Store, configure_environment
from textlstm.tracking.sync import sync_waiting

_POLL_SECONDS = 0.1
_MAX_PAUSE_SECONDS = 5.0
_LAST_PAUSE_SECONDS = 0.5
_LAST_ATTEMPTS = 2
_BACKLOG_SECONDS = 5.0


def carry(paths: JournalPaths, store: Store, *, run_ended: threading.Event) -> bool:
    """Send the journal while it grows, until the run has ended and all is confirmed, or the store stays silent.

    Returns:
        Whether everything was confirmed.
    """
    sender = Sender(paths, store)
    last_attempts = 0
    while not (sender.is_complete() and run_ended.is_set()):
        ended = run_ended.is_set()
        if sender.pump():
            if sender.state.offset and ended and not is_closed(paths):
                close_as_killed(paths)
            elif ended and sender.state.offset == paths.journal.stat().st_size:
                break
            if not ended:
                run_ended.wait(_POLL_SECONDS)
            continue
        last_attempts += ended
        if last_attempts >= _LAST_ATTEMPTS:
            break
        pause = min(_MAX_PAUSE_SECONDS, 0.25 * 2**sender.state.num_failures)
        if ended:
            time.sleep(_LAST_PAUSE_SECONDS)
        else:
            run_ended.wait(pause)
    return sender.is_complete()


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
        if held and carry(paths, store, run_ended=run_ended):
            _send_backlog(store, patience=request["timeout_seconds"])


def _send_backlog(store: Store, *, patience: float) -> None:
    """Send what earlier runs left behind, for a few seconds at most: the run's command is waiting."""
    deadline = time.monotonic() + _BACKLOG_SECONDS
    for _ in sync_waiting(store, patience=min(patience, _BACKLOG_SECONDS)):
        if time.monotonic() > deadline:
            return


def _watch(request_stream: IO[bytes], run_ended: threading.Event) -> None:
    request_stream.read()
    run_ended.set()


def _watch_parent(parent: int, run_ended: threading.Event) -> None:
    while os.getppid() == parent:  # a forked worker of the run may hold the pipe open when the run is killed
        time.sleep(1.0)
    run_ended.set()


if __name__ == "__main__":
    main(sys.stdin.buffer)
