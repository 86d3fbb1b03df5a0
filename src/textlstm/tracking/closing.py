"""The end of runs that could not write it themselves: killed, crashed, switched off."""

import time
from pathlib import Path
from typing import Any

from textlstm.tracking.journal import EventKind, JournalPaths, JournalWriter, read_events
from textlstm.tracking.process import ProcessIdentity, is_dead
from textlstm.tracking.secrets import Redactor


def close_as_killed(paths: JournalPaths) -> None:
    """Write the missing end, with the time of the run's last sign of life. Hold the sending lock."""
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
