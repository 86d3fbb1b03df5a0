"""The outbox process itself: `python -m textlstm.tracking.background`, started by `OutboxProcess`.

The first line of standard input is a request as JSON (it may hold a password, so it is no argument); the end of
standard input says that the run has ended, in whatever way.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from textlstm.storage.locks import try_lock
from textlstm.tracking.outbox import JournalPaths
from textlstm.tracking.recovery import close_as_killed, is_closed, is_orphan, sync_waiting
from textlstm.tracking.sender import Sender
from textlstm.tracking.store import Store, configure_environment

_POLL_SECONDS = 0.1
_MAX_PAUSE_SECONDS = 5.0
_LAST_PAUSE_SECONDS = 0.5
_LAST_ATTEMPTS = 2
_MAX_IDLE = 50
_LOCK_ATTEMPTS = 60
_BACKLOG_SECONDS = 5.0


def send_until_ended(paths: JournalPaths, store: Store, *, run_ended: threading.Event) -> bool:
    """Send the journal while it grows, until the run has ended and all is confirmed, or the store stays silent.

    Returns:
        Whether everything was confirmed.
    """
    sender = Sender(paths, store)
    num_failures_at_end = num_idle_at_end = 0
    while not (sender.is_complete() and run_ended.is_set()):
        ended = run_ended.is_set()
        # True: everything that can be read now is confirmed or set aside.
        if sender.pump():
            # The run goes on: look again soon, or as soon as it ends.
            if not ended:
                run_ended.wait(_POLL_SECONDS)
                continue
            # The run has ended without a last line: it was killed. Write that line; the next round sends it.
            if is_orphan(paths):
                close_as_killed(paths)
            elif is_closed(paths) or num_idle_at_end > _MAX_IDLE:
                break  # set aside for later, or taken over by a run that continues this one
            else:
                num_idle_at_end += 1  # a process that is being killed still looks alive for a moment
                time.sleep(_POLL_SECONDS)
        elif ended:
            # The store fails and the run's command waits: a second failure leaves the rest to a later sync.
            num_failures_at_end += 1
            if num_failures_at_end >= _LAST_ATTEMPTS:
                break
            time.sleep(_LAST_PAUSE_SECONDS)
        else:
            # The store fails while the run goes on: wait longer after each failure, at most 5 s.
            run_ended.wait(min(_MAX_PAUSE_SECONDS, 0.25 * 2**sender.state.num_failures))
    return sender.is_complete()


def main(request_stream: IO[bytes]) -> None:
    """Serve one request."""
    line = request_stream.readline()
    if not line:
        return
    request = json.loads(line)
    # Before MLflow is imported, since these are its switches.
    configure_environment(timeout_seconds=request["timeout_seconds"])
    store = Store(request["uri"], request["artifact_root"], Path(request["store_directory"]))
    paths = JournalPaths(Path(request["directory"]), request["key"])
    run_ended = threading.Event()

    # Either sign ends the run: the pipe is closed, or the parent is gone.
    threading.Thread(target=_watch, args=(request_stream, run_ended), daemon=True).start()
    threading.Thread(target=_watch_parent, args=(os.getppid(), run_ended), daemon=True).start()
    # The lock makes this the only process that sends the journal. Earlier runs follow once this one is confirmed.
    with _waited_for_lock(paths, run_ended) as held:
        if held and send_until_ended(paths, store, run_ended=run_ended):
            _send_backlog(store, patience=request["timeout_seconds"])


@contextmanager
def _waited_for_lock(paths: JournalPaths, run_ended: threading.Event) -> Iterator[bool]:
    """Become the sender; the outbox process of an interrupted run may still be at work when that run is continued."""
    attempts_at_end = 0
    while attempts_at_end < _LOCK_ATTEMPTS:
        with try_lock(paths.lock) as held:
            if held:
                yield True
                return
        # While the run goes on, wait for as long as needed; after its end, at most 30 s.
        attempts_at_end += run_ended.is_set()
        time.sleep(_LAST_PAUSE_SECONDS)
    yield False


def _send_backlog(store: Store, *, patience: float) -> None:
    """Send what earlier runs left behind, for a few seconds at most: the run's command is waiting."""
    deadline = time.monotonic() + _BACKLOG_SECONDS
    for _ in sync_waiting(store, patience=min(patience, _BACKLOG_SECONDS)):
        if time.monotonic() > deadline:
            return


def _watch(request_stream: IO[bytes], run_ended: threading.Event) -> None:
    # Nothing follows the request, so this returns at the end of standard input.
    request_stream.read()
    run_ended.set()


def _watch_parent(parent: int, run_ended: threading.Event) -> None:
    while os.getppid() == parent:  # a forked worker of the run may hold the pipe open when the run is killed
        time.sleep(1.0)
    run_ended.set()


if __name__ == "__main__":
    main(sys.stdin.buffer)
