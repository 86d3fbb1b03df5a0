"""Child processes: environment, output, signs of life and end, and the messages on their pipes.

A message is a frame: its length (8 bytes, little endian), its kind (1 byte) and its body.
"""

import multiprocessing
import os
import signal
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, NamedTuple

import textlstm
from textlstm import errors

ATTEMPTS = 2
"""A piece of work whose worker died is given to a fresh one; the second death ends the job."""
_THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS")


def child_environment(*, one_thread: bool = True) -> dict[str, str]:
    """Return the environment of a child that imports this very package, and computes in one thread if `one_thread`."""
    # The parent of the package goes first, so that the child imports the same code and no other copy.
    paths = [str(Path(textlstm.__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    threads = dict.fromkeys(_THREAD_SETTINGS, "1") if one_thread else {}
    return os.environ | threads | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def private_stdout() -> BinaryIO:
    """Return the real standard output; what libraries print goes to standard error from now on."""
    private = os.fdopen(os.dup(1), "wb")
    # Descriptor 1 becomes standard error, also for C libraries that print past `sys.stdout`.
    os.dup2(2, 1)
    return private


class Heartbeat:
    """Calls `beat` every `seconds` in a thread of its own, until it is stopped or the process ends."""

    def __init__(self, beat: Callable[[], None], *, seconds: float) -> None:
        self._beat = beat
        self._seconds = seconds
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        # `wait` is both the pause and the sign to end.
        while not self._is_over.wait(self._seconds):
            try:
                self._beat()
            except BrokenPipeError:  # nobody listens any more
                return

    def stop(self) -> None:
        """End the thread: a fork copies only the one that calls it, and locks as they are."""
        self._is_over.set()
        self._thread.join()


def die_with_parent() -> None:
    """End this process, which `multiprocessing` started, as soon as the one that started it is gone."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # `sys.exit` would end this thread alone.
        os._exit(1)


def end_words(code: int | None, *, named: bool = False) -> str:
    """Return how a process with exit code `code` ended; None is an unknown one.

    Example: -9 is "was killed by signal 9", `named` "was killed by signal 9 (SIGKILL)"; 3 is "ended with exit code 3".
    """
    if code is None:
        return "has ended"
    if code < 0:
        return f"was killed by signal {-code}" + (f" ({signal.Signals(-code).name})" if named else "")
    return f"ended with exit code {code}"


def reported_error(name: str, problems: Sequence[str]) -> errors.TextLSTMError:
    """Return the error that another process reported: of the class `name` where it is one of this package's own."""
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, errors.TextLSTMError):
        return kind(*problems)
    return errors.TextLSTMError(*problems)


# Messages between processes: a frame is its length (8 bytes, little endian), its kind (1 byte) and its body.

_HEADER = struct.Struct("<Qc")
_READ_BYTES = 1 << 20


class Kind(StrEnum):
    """Kinds of frames."""

    ready = "D"
    started = "S"
    """Process ids of the workers, in JSON."""
    ended = "X"
    """Number and exit code of a worker, in JSON."""
    block = "B"
    result = "R"
    error = "E"
    alive = "A"


class Frame(NamedTuple):
    """One message."""

    kind: Kind
    body: bytes


@dataclass(slots=True)
class FrameReader:
    """Cuts a stream of bytes into frames."""

    _buffer: bytearray

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that `data` completes."""
        self._buffer += data
        # A frame may come in several reads, and a read may hold several frames.
        while len(self._buffer) >= _HEADER.size:
            length, kind = _HEADER.unpack_from(self._buffer)
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield Frame(Kind(kind.decode()), body)


def pack(kind: Kind, body: bytes = b"") -> bytes:
    """Return the bytes of one frame."""
    return _HEADER.pack(len(body), kind.value.encode()) + body


class FrameInput:
    """Frames from a descriptor, read as they come."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.last_heard = time.monotonic()
        self.has_been_heard = False
        self._reader = FrameReader()

    def receive(self) -> Iterator[Frame]:
        """Yield the frames that have come in.

        Raises:
            EOFError: The other side has ended.
        """
        while True:
            try:
                data = os.read(self.descriptor, _READ_BYTES)
            except BlockingIOError:
                return
            # An empty read means that all ends for writing are closed.
            if not data:
                raise EOFError
            self.last_heard, self.has_been_heard = time.monotonic(), True
            yield from self._reader.feed(data)
