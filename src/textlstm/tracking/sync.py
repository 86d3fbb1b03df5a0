"""Closes the journals of dead runs and sends what MLflow has not confirmed yet."""

import time
from collections.abc import Iterator
from typing import NamedTuple

from textlstm.config import TrackingConfig
from textlstm.tracking.closing import close_as_killed, is_orphan, read_opening
from textlstm.tracking.journal import JournalPaths, list_journals, sending_lock
from textlstm.tracking.sender import Sender
from textlstm.tracking.state import SendState, load_state
from textlstm.tracking.store import Store, configure_environment, locate_store


class SyncedJournal(NamedTuple):
    """What became of one journal."""

    key: str
    state: SendState
    note: str
    """Why it was left alone; empty where it was sent."""


_MAX_FAILURES = 4


def sync_journals(config: TrackingConfig) -> list[SyncedJournal]:
    """Send every unfinished journal under `tracking.dir` to the store of `config`; return what became of each.

    Runs that died are closed as KILLED first. Runs that go on are left to themselves. Nothing is sent twice. A store
    that does not answer costs at most about `tracking.timeout_seconds`.
    """
    configure_environment(timeout_seconds=config.timeout_seconds)
    return list(sync_waiting(locate_store(config), patience=config.timeout_seconds))


def sync_waiting(store: Store, *, patience: float) -> Iterator[SyncedJournal]:
    """Send one unfinished journal a step; nothing more is tried after `patience` seconds without success."""
    deadline = time.monotonic() + patience
    for paths in list_journals(store.journal_dir):
        if is_complete(paths):
            continue
        if time.monotonic() > deadline:
            yield SyncedJournal(paths.key, load_state(paths.state), "was not reached in time")
            continue
        synced = _sync_one(paths, store, deadline=deadline)
        if not synced.state.last_error:
            deadline = time.monotonic() + patience
        yield synced


def is_complete(paths: JournalPaths) -> bool:
    """Return whether the run of this journal has ended and MLflow has confirmed all of it."""
    return load_state(paths.state).is_complete(paths.journal)


def _sync_one(paths: JournalPaths, store: Store, *, deadline: float) -> SyncedJournal:
    with sending_lock(paths) as held:
        if not held:
            return SyncedJournal(paths.key, load_state(paths.state), "is being sent by another process")
        opening = read_opening(paths.journal)
        if opening is None:
            return SyncedJournal(paths.key, load_state(paths.state), "is empty")
        if opening["uri"] != store.public_uri:
            return SyncedJournal(
                paths.key, load_state(paths.state), f"belongs to {opening['uri']}; set tracking.uri to send it there"
            )
        if is_orphan(paths):
            close_as_killed(paths)
        sender = Sender(paths, store)
        while not sender.pump() and sender.state.num_failures < _MAX_FAILURES and time.monotonic() < deadline:
            time.sleep(0.5)
        sender.finish()
        return SyncedJournal(paths.key, sender.state, "")
