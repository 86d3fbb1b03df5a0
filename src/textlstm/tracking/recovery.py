"""Closes the journals of dead runs and sends what MLflow has not confirmed yet."""

import os
import platform
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from textlstm.config import TrackingConfig
from textlstm.errors import InputError
from textlstm.storage.locks import try_lock
from textlstm.tracking.outbox import (
    EventKind,
    JournalPaths,
    JournalWriter,
    SendState,
    list_journals,
    load_state,
    read_events,
)
from textlstm.tracking.secrets import Redactor
from textlstm.tracking.sender import Sender
from textlstm.tracking.store import Store, configure_environment, locate_store

# Who writes a journal, and whether that process still lives (also after kill -9 or a reboot).


class ProcessIdentity(NamedTuple):
    """A process in a way that no later process can share."""

    machine: str
    """Host name, boot id and pid namespace: pids of another machine, boot or container say nothing here."""
    pid: int
    started: float
    """Creation time, seconds since the epoch; pids are used again."""


def this_process() -> ProcessIdentity:
    """Return the identity of the calling process."""
    return ProcessIdentity(_machine(), os.getpid(), _started(os.getpid()))


def is_dead(identity: ProcessIdentity, *, seconds_silent: float, max_silence: float = 3600.0) -> bool:
    """Return whether the process is surely gone.

    A process of this machine and boot is looked up. One of an earlier boot of this host is gone. Of another host only
    its silence is known: an hour without a sign counts as gone.
    """
    here = _machine()
    # With another start time the pid belongs to a later process, or to none.
    if identity.machine == here:
        return abs(_started(identity.pid) - identity.started) > 2.0
    # The same host name with another boot id: the machine was started again.
    if identity.machine.split("|")[0] == here.split("|")[0] and identity.machine.split("|")[1] != here.split("|")[1]:
        return True
    return seconds_silent > max_silence


def _machine() -> str:
    boot = _read("/proc/sys/kernel/random/boot_id") or "unknown-boot"
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = "no-namespace"
    return f"{platform.node()}|{boot}|{namespace}"


def _started(pid: int) -> float:
    import psutil

    try:
        process = psutil.Process(pid)
        # A zombie has ended; only its parent has not noticed yet.
        return 0.0 if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return 0.0


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""


# The end of runs that could not write it themselves: killed, crashed, switched off.


def close_as_killed(paths: JournalPaths) -> None:
    """Write the missing end, with the time of the run's last sign of life. Hold the sending lock."""
    # Taken before the line is appended, which changes this time.
    last_sign = int(paths.journal.stat().st_mtime * 1000)
    with JournalWriter(paths, redactor=Redactor()) as journal:
        journal.append(EventKind.close, {"status": "KILLED", "time": last_sign})


def is_closed(paths: JournalPaths) -> bool:
    """Return whether the journal's last event is the end of the run."""
    last = None
    for event in read_events(paths.journal):
        last = event.kind
    return last is EventKind.close


def is_orphan(paths: JournalPaths) -> bool:
    """Return whether the journal has no end and the process that wrote it is gone."""
    opening = read_opening(paths.journal)
    # No complete opening line says who writes, and a journal with an end needs no other.
    if opening is None or is_closed(paths):
        return False
    silent = time.time() - paths.journal.stat().st_mtime
    return is_dead(ProcessIdentity(**opening["process"]), seconds_silent=silent)


def read_opening(path: Path) -> dict[str, Any] | None:
    """Return the data of the last opening (a resumed run has several); None where there is none."""
    last = None
    for event in read_events(path):
        if event.kind is EventKind.open:
            last = event.data
    return last


class SyncedJournal(NamedTuple):
    """The outcome for one journal."""

    key: str
    state: SendState
    note: str
    """Why it was left alone; empty where it was sent."""


_MAX_FAILURES = 4


def sync_journals(config: TrackingConfig) -> list[SyncedJournal]:
    """Send every unfinished journal under `tracking.dir` to the store of `config`; return the outcome for each.

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
        # Out of time: what is left is only named.
        if time.monotonic() > deadline:
            yield SyncedJournal(paths.key, load_state(paths.state), "was not reached in time")
            continue
        synced = _sync_one(paths, store, deadline=deadline)
        # A success shows that the store answers, so the next journal gets the full patience.
        if not synced.state.last_error:
            deadline = time.monotonic() + patience
        yield synced


SET_ASIDE = "set-aside"
"""Folder beside the journals for runs that the user gave up."""


def set_aside(config: TrackingConfig, keys: Sequence[str]) -> list[Path]:
    """Move the journals called `keys` out of the way of every later sending; return where they are now.

    Nothing is deleted: moved back into the folder of journals, a run is sent again.

    Raises:
        InputError: There is no journal of some of these names (all of them are told, and nothing was moved), or one is
            being sent (those before it in `keys` were moved).
    """
    store = locate_store(config)
    known = {paths.key: paths for paths in list_journals(store.journal_dir)}
    if unknown := [f"drop: no run {key} waits in {store.journal_dir}" for key in keys if key not in known]:
        raise InputError(*unknown)
    folder = store.journal_dir / SET_ASIDE
    folder.mkdir(exist_ok=True)
    for key in keys:
        paths = known[key]
        with try_lock(paths.lock) as held:
            if not held:
                raise InputError(f"drop: run {key} is being sent by another process; wait for it")
            # The journal goes last, so that a kill in between leaves a run that can still be dropped.
            for path in (paths.files, paths.state, paths.journal):
                if path.exists():
                    path.replace(folder / path.name)
    return [folder / known[key].journal.name for key in keys]


def is_complete(paths: JournalPaths) -> bool:
    """Return whether the run of this journal has ended and MLflow has confirmed all of it."""
    return load_state(paths.state).is_complete(paths.journal)


def _sync_one(paths: JournalPaths, store: Store, *, deadline: float) -> SyncedJournal:
    with try_lock(paths.lock) as held:
        if not held:
            return SyncedJournal(paths.key, load_state(paths.state), "is being sent by another process")
        opening = read_opening(paths.journal)
        if opening is None:
            return SyncedJournal(paths.key, load_state(paths.state), "is empty")
        # A journal goes only to the store that its run was made for.
        if not store.is_meant_by(opening["uri"]):
            return SyncedJournal(
                paths.key, load_state(paths.state), f"belongs to {opening['uri']}; set tracking.uri to send it there"
            )
        # A run that was killed gets its end first, so that the end is sent too.
        if is_orphan(paths):
            close_as_killed(paths)
        sender = Sender(paths, store)
        # After a failure `pump` continues behind the last confirmed event.
        while not sender.pump() and sender.state.num_failures < _MAX_FAILURES and time.monotonic() < deadline:
            time.sleep(0.5)
        sender.finish()
        return SyncedJournal(paths.key, sender.state, "")
