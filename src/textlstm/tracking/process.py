"""Who writes a journal, and whether that process still lives (also after kill -9 or a reboot)."""

import os
import platform
from pathlib import Path
from typing import NamedTuple


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
    if identity.machine == here:
        return abs(_started(identity.pid) - identity.started) > 2.0
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
        return 0.0 if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return 0.0


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""
