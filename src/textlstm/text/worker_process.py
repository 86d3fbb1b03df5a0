"""The main process's side of one preparation worker."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import textlstm
from textlstm.text.worker_messages import Frame, FrameReader

_READ_BYTES = 1 << 20


class WorkerProcess:
    """A worker, its pipes, and the blocks it was given; never blocks the caller."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.blocks: list[int] = []
        """Blocks given and not yet returned, oldest first."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "textlstm.text.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("a worker without pipes")
        self.input = self._process.stdin.fileno()
        self.output = self._process.stdout.fileno()
        os.set_blocking(self.input, False)
        os.set_blocking(self.output, False)
        self._reader = FrameReader()
        self._unsent = bytearray()
        self.last_heard = time.monotonic()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

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
                with memoryview(self._unsent) as view:
                    written = os.write(self.input, view)
                del self._unsent[:written]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._unsent.clear()  # The worker is gone; reading its output finds out and reports it.

    def receive(self) -> Iterator[Frame]:
        """Yield the frames that have come in.

        Raises:
            EOFError: The worker has ended.
        """
        while True:
            try:
                data = os.read(self.output, _READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                raise EOFError
            self.last_heard = time.monotonic()
            yield from self._reader.feed(data)

    def end_words(self) -> str:
        """Return how the worker ended, such as "was killed by signal 9 (SIGKILL)"; waits for the end."""
        code = self._process.wait()
        if code < 0:
            return f"was killed by signal {-code} ({signal.Signals(-code).name})"
        return f"ended with exit code {code}"

    def kill(self) -> None:
        """End the worker now, even a stopped one, and close its pipes."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                _close(pipe.fileno())


def _close(descriptor: int) -> None:
    # Closing the descriptor, not the file object, leaves nothing to flush into a broken pipe.
    os.close(descriptor)


def _environment() -> dict[str, str]:
    """Return the environment of workers: one thread each, and this very package."""
    source_dir = str(Path(textlstm.__file__).parents[1])
    paths = [source_dir, *filter(None, [os.environ.get("PYTHONPATH", "")])]
    return os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
