"""The local engine: worker processes that are watched, and replaced once when they die."""

import json
import os
import selectors
import signal
import subprocess
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType
from typing import Any, NamedTuple, Self

from textlstm.config import LabellingConfig
from textlstm.errors import TextLSTMError
from textlstm.inference.gpu_process import GPU_ADDRESS
from textlstm.labelling.engines.worker_main import read_answer
from textlstm.labelling.journal import Journal, ShardRecord
from textlstm.labelling.shard import ShardTask
from textlstm.processes.child import ATTEMPTS, child_environment, end_words
from textlstm.storage.signed_json import compact_json

# One worker process of the local engine, as its parent sees it.


class WorkerJob(NamedTuple):
    """What every worker of a job needs to start."""

    command: Sequence[str]
    model_dir: str
    settings: LabellingConfig
    root: str
    scratch: str
    inherited: tuple[int, ...]
    """File descriptors that workers hold open, so that the lock outlives a killed parent until they end."""
    gpus: tuple[str, ...] = ()
    """Addresses of the processes that compute on GPUs; the workers share them evenly."""
    place: int = 0
    """Number of the worker among all."""


class WorkerProcess:
    """A process that serves shards, one at a time."""

    def __init__(self, job: WorkerJob) -> None:
        """Start the process and tell it which model to load."""
        self.place = job.place
        self.task: ShardTask | None = None
        self.is_ready = False
        self.has_spoken = False
        self.rows_done = 0
        self.last_heard = time.monotonic()
        self._unread = b""
        gpu = {GPU_ADDRESS: job.gpus[job.place % len(job.gpus)]} if job.gpus else {}
        self._process = subprocess.Popen(  # noqa: S603  (the command is ours, never a setting)
            list(job.command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=job.inherited,
            env=child_environment() | gpu,
        )
        # The first request names the model; the worker loads it and then answers "ready".
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
        # An empty read is the end of the pipe: the process has ended.
        if not chunk:
            return None
        self.last_heard = time.monotonic()
        self.has_spoken = True
        # What follows the last line feed is an unfinished line; it waits for the next chunk.
        *lines, self._unread = (self._unread + chunk).split(b"\n")
        return [json.loads(line) for line in lines]

    def end(self) -> int:
        """Kill the process, which may be stopped or busy, and return its exit code (negative: the signal)."""
        # SIGKILL also ends a process that was stopped, which would not receive a SIGTERM before it goes on.
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
            self._process.stdin.write(compact_json(request))
            self._process.stdin.flush()


SILENCE_SECONDS = 10.0
"""A worker that says nothing for this long is stopped or stuck; alive, it says something twice a second."""
START_SECONDS = 60.0
"""Before its first word a worker may take this long: it only begins to speak once Python has loaded."""
_TICK_SECONDS = 0.25


class LocalEngine:
    """Worker processes of this machine. They load the model while the job is still being planned."""

    def __init__(self, job: WorkerJob, *, num_workers: int) -> None:
        """Start `num_workers` processes."""
        self._job = job
        self.num_workers = num_workers
        self._selector = selectors.DefaultSelector()
        self._workers: list[WorkerProcess] = []
        for _ in range(num_workers):
            self._start_worker()

    def __enter__(self) -> Self:
        """Return the engine."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all workers, whatever they are doing."""
        for worker in list(self._workers):
            self._end_worker(worker)
        self._selector.close()

    def run(
        self, tasks: Sequence[ShardTask], *, journal: Journal, on_rows: Callable[[int], None]
    ) -> Iterator[ShardRecord]:
        """Yield the record of each task as it is done; a worker gets its next shard when it is free.

        `on_rows` is called with the rows done of the shards that are being worked on.

        Raises:
            TextLSTMError: A worker reported an error, or died twice on the same shard.
        """
        waiting = deque(tasks)
        deaths: Counter[int] = Counter()
        num_left = len(tasks)
        while num_left:
            # Give a shard to every worker that has loaded the model and is free.
            self._assign(waiting, journal.folder)
            for worker, answers in self._listen():
                if answers is None:
                    # The worker ended or fell silent: its shard goes back to the head of the queue.
                    self._replace(worker, waiting, deaths)
                    continue
                for answer in answers:
                    worker.rows_done = answer.get("beat", worker.rows_done)
                    worker.is_ready = worker.is_ready or "ready" in answer
                    # This raises what a worker reported as an error, which ends the job.
                    record = read_answer(answer)
                    if record is not None:
                        # Part and record are written by now: a kill from here on loses nothing of this shard.
                        worker.task = None
                        worker.rows_done = 0
                        num_left -= 1
                        yield record
            on_rows(sum(worker.rows_done for worker in self._workers))

    def _assign(self, waiting: deque[ShardTask], journal: str) -> None:
        for worker in self._workers:
            if waiting and worker.is_ready and worker.task is None:
                worker.assign(waiting.popleft(), journal=journal)

    def _listen(self) -> Iterator[tuple[WorkerProcess, list[dict[str, Any]] | None]]:
        """Yield what each worker said since the last time; None for one that is gone or silent for too long."""
        before = time.monotonic()
        ready = {key.fileobj for key, _ in self._selector.select(_TICK_SECONDS)}
        # After a pause of our own (a laptop lid, Ctrl-Z) silence says nothing about the workers.
        slept = time.monotonic() - before > SILENCE_SECONDS / 2
        # A copy of the list: the caller replaces lost workers while this generator waits.
        for worker in list(self._workers):
            if worker in ready:
                yield worker, worker.heard()
            elif slept:
                worker.last_heard = time.monotonic()
            elif _is_lost(worker):
                yield worker, None

    def _replace(self, worker: WorkerProcess, waiting: deque[ShardTask], deaths: Counter[int]) -> None:
        """Put a fresh worker in the place of one that is gone, and its shard first in the queue.

        Raises:
            TextLSTMError: The shard has cost two workers, or a worker died before it had one.
        """
        # Measure the silence before the worker is killed: the exit code of a silent one only shows our own signal.
        silent = time.monotonic() - worker.last_heard
        is_lost = _is_lost(worker)
        task, code = worker.task, self._end_worker(worker)
        how = f"said nothing for {silent:.0f} s" if is_lost else _cause(code)
        if task is None:
            raise TextLSTMError(f"a labelling worker {how} while it loaded the model")
        # The same shard may be what kills workers, for example by its need of memory: try it once more, then give up.
        deaths[task.shard.number] += 1
        if deaths[task.shard.number] >= ATTEMPTS:
            shard = task.shard
            raise TextLSTMError(
                f"{task.file.name}: shard {shard.number} (rows {shard.first_row} to {shard.last_row}) cost "
                f"{ATTEMPTS} workers; the last one {how}; finished shards are kept, run the same command to go on"
            )
        # Nothing of the first attempt is cleaned up: the second one writes the same bytes under the same name.
        waiting.appendleft(task)
        self._start_worker()

    def _start_worker(self) -> None:
        # The place of a worker that is gone, or the next one.
        taken = {worker.place for worker in self._workers}
        place = next(number for number in range(self.num_workers) if number not in taken)
        worker = WorkerProcess(self._job._replace(place=place))
        self._workers.append(worker)
        self._selector.register(worker, selectors.EVENT_READ)

    def _end_worker(self, worker: WorkerProcess) -> int:
        self._selector.unregister(worker)
        self._workers.remove(worker)
        return worker.end()


def _is_lost(worker: WorkerProcess) -> bool:
    silent = time.monotonic() - worker.last_heard
    return silent > (SILENCE_SECONDS if worker.has_spoken else START_SECONDS)


def _cause(code: int) -> str:
    return f"{end_words(code)} (out of memory?)" if code == -signal.SIGKILL else end_words(code)
