"""The main process's side of preparation workers: pipes that never block it, and reports of how workers end."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress

from textlstm.processes.child import Frame, FrameInput, Kind, child_environment, end_words

_END_SECONDS = 5.0
"""How long the starter has to tell how a worker ended, and to end itself."""


class WorkerProcess:
    """A worker, its pipes, and the blocks it was given."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pid = 0
        """Process id; 0 until it is known."""
        self.blocks: list[int] = []
        """Blocks given and not yet returned, oldest first."""
        self.worker_input, self.input = os.pipe()
        output, self.worker_output = os.pipe()
        # Our ends never block: a worker that is busy must not hold up the main process.
        os.set_blocking(self.input, False)
        self.output = FrameInput(output)
        self._unsent = bytearray()

    @property
    def has_unsent(self) -> bool:
        """Whether `send` left something to write."""
        return bool(self._unsent)

    def send(self, frame: bytes) -> None:
        """Write as much as the pipe takes; the rest is for `flush`."""
        self._unsent += frame
        self.flush()

    def flush(self) -> None:
        """Write what the pipe takes now."""
        try:
            while self._unsent:
                # The view must be closed before the array may shrink.
                with memoryview(self._unsent) as view:
                    written = os.write(self.input, view)
                del self._unsent[:written]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._unsent.clear()  # The worker is gone; reading its output finds out and reports it.

    def kill(self) -> None:
        """End the worker now, even a stopped one, and close its pipes."""
        if self.pid and self._is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        os.close(self.input)  # the end of its input ends one whose process id is not known yet
        os.close(self.output.descriptor)

    def _is_alive(self) -> bool:
        """Say whether something still holds the other end of the output: only then is the process id still its own."""
        poll = select.poll()
        poll.register(self.output.descriptor, 0)
        return not poll.poll(0)


class WorkerGroup:
    """The starter and its workers; they load while this process does something else."""

    def __init__(self, settings: bytes, count: int, *, module: str) -> None:
        """Start `count` workers: `python -m module` reads `settings` from its standard input and forks them."""
        self.workers = [WorkerProcess(number) for number in range(count)]
        descriptors = [end for worker in self.workers for end in (worker.worker_input, worker.worker_output)]
        self._starter = subprocess.Popen(  # noqa: S603  (this package, and numbers)
            [sys.executable, "-m", module, *map(str, descriptors)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(),
            pass_fds=descriptors,
        )
        # The children have their copies; with ours open, the end of a worker would not end its output.
        for descriptor in descriptors:
            os.close(descriptor)
        if self._starter.stdin is None or self._starter.stdout is None:
            raise RuntimeError("a starter without pipes")
        # The starter reads its settings to the end of its input, so that end must be closed.
        with suppress(BrokenPipeError):  # reading its output finds out and reports it
            self._starter.stdin.write(settings)
            self._starter.stdin.close()
        self._output = self._starter.stdout
        self.control = FrameInput(self._output.fileno())
        self.has_started = False
        """Whether the workers are at work; until then the starter loads."""
        self._codes: dict[int, int] = {}

    @property
    def pid(self) -> int:
        """Process id of the starter."""
        return self._starter.pid

    def take(self, frame: Frame) -> None:
        """Record what a frame of the starter reports about its workers."""
        if frame.kind is Kind.started:
            for worker, process_id in zip(self.workers, json.loads(frame.body), strict=True):
                worker.pid = process_id
                worker.output.last_heard = time.monotonic()
            self.has_started = True
        elif frame.kind is Kind.ended:
            number, code = json.loads(frame.body)
            self._codes[number] = code

    def end_words(self, worker: WorkerProcess) -> str:
        """Return how a worker ended, such as "was killed by signal 9 (SIGKILL)"."""
        # The pipe's end may come before the starter's report, so wait for that a while.
        deadline = time.monotonic() + _END_SECONDS
        poll = select.poll()
        poll.register(self.control.descriptor, select.POLLIN)
        with suppress(EOFError):
            while worker.number not in self._codes and time.monotonic() < deadline:
                poll.poll(100)
                for frame in self.control.receive():
                    self.take(frame)
        return end_words(self._codes.get(worker.number), named=True)

    def starter_end_words(self) -> str:
        """Return how the starter, whose output has ended, ended itself."""
        return end_words(self._starter.wait(), named=True)

    def close(self) -> None:
        """End all processes now."""
        for worker in self.workers:
            worker.kill()
        if self.has_started:
            with suppress(subprocess.TimeoutExpired):
                self._starter.wait(_END_SECONDS)  # it ends by itself after its workers
        self._starter.kill()
        self._starter.wait()
        self._output.close()  # by its owner: it would close that number once more, then maybe another's file
