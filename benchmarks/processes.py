"""Run one whole process and measure it: seconds, processor seconds, and the peak memory of its family."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil


class Measured(NamedTuple):
    """What one process took."""

    seconds: float
    cpu_seconds: float
    """Processor time of the process and all children that it waited for."""
    megabytes: float
    """Largest resident memory of the process and its children together."""
    exit_code: int
    """Negative where a signal ended it; None never."""
    timed_out: bool
    output: str
    """Standard output, then standard error."""


def run(command: Sequence[str], *, limit_seconds: float, work: Path) -> Measured:
    """Run `command` to its end, or kill its process group after `limit_seconds`."""
    log = work / "process.log"
    started = time.perf_counter()
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True)
        peak = [0.0]
        late = threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, peak, started + limit_seconds, late), daemon=True)
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    watcher.join(timeout=5)
    cpu_seconds = usage.ru_utime + usage.ru_stime
    output = log.read_text(encoding="utf-8", errors="replace")
    return Measured(seconds, cpu_seconds, peak[0] / 1e6, process.returncode, late.is_set(), output)


def _watch(process_id: int, peak: list[float], deadline: float, late: threading.Event) -> None:
    """Keep the peak in bytes; end the whole group at the deadline.

    Looking takes some milliseconds of a core that the process may be using, so it becomes rarer: from every .05 s to
    twice a second.
    """
    pause = 0.05
    try:
        process = psutil.Process(process_id)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            family = [process, *process.children(recursive=True)]
            peak[0] = max(peak[0], float(sum(_resident(one) for one in family)))
            if time.perf_counter() > deadline:
                late.set()
                os.killpg(process_id, signal.SIGKILL)
                return
            time.sleep(pause)
            pause = min(1.2 * pause, 0.5)
    except (psutil.Error, ProcessLookupError):
        return


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def size_of(path: Path) -> float:
    """Return the megabytes of a file or of all files of a folder."""
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return sum(one.stat().st_size for one in files) / 1e6
