"""One worker process of the local engine, as its parent sees it."""

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import textlstm
from textlstm.config import LabellingConfig
from textlstm.labelling.plan import canonical
from textlstm.labelling.shards import ShardTask

ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS")


class WorkerJob(NamedTuple):
    """What every worker of a job needs to start."""

    command: Sequence[str]
    model_dir: str
    settings: LabellingConfig
    root: str
    scratch: str
    inherited: tuple[int, ...]
    """File descriptors that workers hold open, so that the lock outlives a killed parent until they end."""


class WorkerProcess:
    """A process that serves shards, one at a time."""

    def __init__(self, job: WorkerJob) -> None:
        """Start the process and tell it which model to load."""
        self.task: ShardTask | None = None
        self.is_ready = False
        self.has_spoken = False
        self.rows_done = 0
        self.last_heard = time.monotonic()
        self._unread = b""
        self._process = subprocess.Popen(  # noqa: S603  (the command is ours, never a setting)
            list(job.command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=job.inherited,
            env=_environment(),
        )
        self._send(
            {
                "model_dir": job.model_dir,
                "settings": asdict(job.settings),
                "root": job.root,
                "scratch": job.scratch,
            }
        )

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when the worker says something, or ends."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def assign(self, task: ShardTask, *, journal: str) -> None:
        """Hand the worker a shard."""
        self.task = task
        self.rows_done = 0
        self._send({"task": task, "journal": journal})

    def heard(self) -> list[dict[str, Any]] | None:
        """Read what is there; return the complete answers, or None when the worker is gone."""
        chunk = os.read(self.fileno(), 1 << 20)
        if not chunk:
            return None
        self.last_heard = time.monotonic()
        self.has_spoken = True
        *lines, self._unread = (self._unread + chunk).split(b"\n")
        return [json.loads(line) for line in lines]

    def end(self) -> int:
        """Kill the process, which may be stopped or busy, and return its exit code (negative: the signal)."""
        if self._process.poll() is None:
            self._process.kill()
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        return code

    def _send(self, request: Mapping[str, object]) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it is gone; reading from it says so
            self._process.stdin.write(canonical(request))
            self._process.stdin.flush()


def _environment() -> dict[str, str]:
    source = str(Path(textlstm.__file__).resolve().parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([source, inherited] if inherited else [source])
    return {**os.environ, **dict.fromkeys(ONE_THREAD, "1"), "PYTHONPATH": path}
