"""Closes the journals of dead runs and sends what MLflow has not confirmed yet."""

import time
from pathlib import Path
from typing import Any, NamedTuple

from textlstm.config import TrackingConfig
from textlstm.tracking.courier import close_as_killed
from textlstm.tracking.journal import EventKind, JournalPaths, list_journals, read_events, sending_lock
from textlstm.tracking.process import ProcessIdentity, is_dead
from textlstm.tracking.sender import Sender
from textlstm.tracking.state import SendState, load_state
from textlstm.tracking.store import Store, configure_environment, locate_store


class SyncedJournal(NamedTuple):
    """What became of one journal."""

    key: str
    state: SendState
    note: str
    """Why it was left alone; empty where it was sent."""


def sync_journals(config: TrackingConfig, *, seconds: float | None = None) -> list[SyncedJournal]:
    """Send every unfinished journal under `tracking.dir` to the store of `config`; return what became of each.

    Runs that died are closed as KILLED first. Runs that go on are left to themselves. Nothing is sent twice.

    Args:
        config: Which store and which journals.
        seconds: Stop after about this long; None means `tracking.timeout_seconds` without an answer.
    """
    store = locate_store(config)
    waiting = [paths for paths in list_journals(store.journal_dir) if not is_complete(paths)]
    if not waiting:
        return []
    configure_environment(timeout_seconds=config.timeout_seconds)
    deadline = time.monotonic() + (config.timeout_seconds if seconds is None else seconds)
    return [_sync_one(paths, store, deadline=deadline) for paths in waiting]


def close_dead_runs(store: Store) -> list[str]:
    """Write the missing end into the journals of runs whose process is gone; return their keys. Needs no MLflow."""
    closed = []
    for paths in list_journals(store.journal_dir):
        if is_complete(paths):
            continue
        with sending_lock(paths) as held:  # a courier that still lives closes its run itself
            if held and _is_orphan(paths):
                close_as_killed(paths)
                closed.append(paths.key)
    return closed


def has_waiting_journals(store: Store) -> bool:
    """Return whether any journal is not confirmed as a whole."""
    return any(not is_complete(paths) for paths in list_journals(store.journal_dir))


def is_complete(paths: JournalPaths) -> bool:
    """Return whether the run of this journal has ended and MLflow has confirmed all of it."""
    return load_state(paths.state).is_complete(paths.journal)


def _sync_one(paths: JournalPaths, store: Store, *, deadline: float) -> SyncedJournal:
    with sending_lock(paths) as held:
        if not held:
            return SyncedJournal(paths.key, load_state(paths.state), "is being sent by another process")
        opening = _opening(paths.journal)
        if opening is None:
            return SyncedJournal(paths.key, load_state(paths.state), "is empty")
        if opening["uri"] != store.public_uri:
            return SyncedJournal(
                paths.key, load_state(paths.state), f"belongs to {opening['uri']}; set tracking.uri to send it there"
            )
        if _is_orphan(paths):
            close_as_killed(paths)
        sender = Sender(paths, store)
        while time.monotonic() < deadline:
            if sender.pump():
                sender.finish()
                break
            time.sleep(0.5)
        return SyncedJournal(paths.key, sender.state, "")


def _opening(path: Path) -> dict[str, Any] | None:
    last = None
    for event in read_events(path):
        if event.kind is EventKind.open:
            last = event.data
    return last


def _is_orphan(paths: JournalPaths) -> bool:
    events = list(read_events(paths.journal))
    if not events or events[-1].kind is EventKind.close:
        return False
    opening: Any = _opening(paths.journal)
    silent = time.time() - paths.journal.stat().st_mtime
    return is_dead(ProcessIdentity(**opening["process"]), seconds_silent=silent)
