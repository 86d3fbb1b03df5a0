"""A computation in a process of its own: beside other work, and given up at once when a stop is asked for.

The child is a module that calls `answer`; only `BackgroundCall` starts it. A message is a JSON object and named arrays.
"""

import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from io import BufferedIOBase
from typing import IO, Any, NamedTuple

import numpy as np

from textlstm.errors import Interrupted, TextLSTMError
from textlstm.processes.child import child_environment, end_words, private_stdout, reported_error

_LENGTH = struct.Struct("<Q")
_LOOK_SECONDS = 0.02


class Message(NamedTuple):
    """What goes to a child and what comes back."""

    values: Mapping[str, Any]
    """JSON values."""
    arrays: Mapping[str, np.ndarray]


class BackgroundCall:
    """A child process at work on a message, with one thread."""

    def __init__(self, module: str, message: Message) -> None:
        """Start `python -m module`, which answers `message`."""
        self._module = module
        # Files without a name, not pipes: the child never waits for this process to read or to write.
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        alive, self._life = os.pipe()
        with tempfile.TemporaryFile() as question:
            write_message(question, message)
            question.seek(0)
            self._process = subprocess.Popen(  # noqa: S603 - this package, and a number
                [sys.executable, "-m", module, str(alive)],
                stdin=question,
                stdout=self._output,
                env=child_environment(),
                pass_fds=[alive],
            )
        os.close(alive)

    def result(self, *, stop: Callable[[], int] | None = None) -> Message:
        """Wait, and return the answer.

        Raises:
            TextLSTMError: the child was killed, or it met an error; the message is its traceback where the error is
                none of this package.
            Interrupted: `stop` gave a signal; the child is ended.
        """
        while self._process.poll() is None:
            if stop is not None and (signal_number := stop()):
                self.close()
                raise Interrupted(signal_number, "interrupted")
            time.sleep(_LOOK_SECONDS)
        if self._process.returncode:
            raise TextLSTMError(
                f"the process {self._module} {end_words(self._process.returncode, named=True)}; "
                "if the machine ran out of memory, run again with fewer rows or features"
            )
        self._output.seek(0)
        found = read_message(self._output)
        raise_reported(found)
        return found

    def close(self) -> None:
        """End the child if it is still at work, and free its answer."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if not self._output.closed:
            self._output.close()
            os.close(self._life)


def answer(alive: int, compute: Callable[[Message], Message]) -> None:
    """Answer the message on standard input: the whole program of a child.

    Args:
        alive: descriptor of a pipe that ends with the parent.
        compute: makes the answer.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent decides
    output = private_stdout()
    threading.Thread(target=end_with_parent, args=(alive,), daemon=True).start()
    with output:
        write_message(output, answered(compute, read_message(sys.stdin.buffer)))


def end_with_parent(alive: int) -> None:
    """End this process once the other end of the descriptor `alive`, which nobody writes to, is closed."""
    os.read(alive, 1)
    os._exit(1)


def answered(compute: Callable[[Message], Message], message: Message) -> Message:
    """Return what `compute` makes of a message, or the error that it raised, which `raise_reported` raises again."""
    try:
        return compute(message)
    except TextLSTMError as error:
        return Message({"error": type(error).__name__, "problems": list(error.problems)}, {})
    except Exception:
        return Message({"error": "", "problems": [traceback.format_exc()]}, {})


def raise_reported(message: Message) -> None:
    """Raise the error that an answer holds, if it holds one.

    Raises:
        TextLSTMError: of the class that it had in the other process.
    """
    if "problems" in message.values:
        raise reported_error(message.values["error"], message.values["problems"])


def write_message(stream: IO[bytes] | BufferedIOBase, message: Message) -> None:
    """Write a message; it is not flushed."""
    arrays = {name: np.asarray(array, order="C") for name, array in message.arrays.items()}
    kinds = {name: (array.dtype.str, array.shape) for name, array in arrays.items()}
    head = json.dumps([message.values, kinds]).encode()
    stream.write(_LENGTH.pack(len(head)) + head)
    # The bytes of one array after another: no copy of all of them is made on either side.
    for array in arrays.values():
        stream.write(array.reshape(-1).view(np.uint8).data)


def read_message(stream: IO[bytes] | BufferedIOBase) -> Message:
    """Read a message.

    Raises:
        EOFError: the stream ends before one begins.
        TextLSTMError: the stream ends within it.
    """
    head = stream.read(_LENGTH.size)
    if not head:
        raise EOFError
    [length] = _LENGTH.unpack(head)
    values, kinds = json.loads(stream.read(length))
    arrays = {}
    for name, (kind, shape) in kinds.items():
        arrays[name] = np.empty(shape, np.dtype(kind))
        room = arrays[name].reshape(-1).view(np.uint8)
        if stream.readinto(room.data) != len(room):  # type: ignore[union-attr]  # IO[bytes] lacks it in typeshed
            raise TextLSTMError("a message of another process ends too early")
    return Message(values, arrays)
