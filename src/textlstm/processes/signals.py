"""A clean stop on SIGINT and SIGTERM, heard within two seconds whatever the process does.

The first signal raises `Interrupted` at once. In the block of `noted_between_steps` (a training loop that writes a
checkpoint first) it only sets a flag that the loop reads between two steps; a second signal then raises.

Python runs a handler between two of its instructions, so a call into C code (a fit of liblinear, a large network being
built) would hold it up for minutes. A thread hears of the signal meanwhile and ends the process: what is on the disk is
complete or absent at any moment, as after a kill, and child processes end with their parent.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from textlstm.errors import Interrupted

_DEAF_SECONDS = 1.5
"""The handler must have run by then, or the process ends without it."""
_STEP_SECONDS = 30.0
"""The same between the steps of a loop that will write a checkpoint: a step may take a while."""
_LOOK_SECONDS = 0.05
_WAKE_SECONDS = 0.2


class _State:
    """The signal seen so far, whether a loop looks at it between steps, and when the handler ran last."""

    seen: int | None = None
    is_noted: bool = False
    handled_at: float = 0.0
    watcher: threading.Thread | None = None


def _handle(signal_number: int, _frame: FrameType | None) -> None:
    already_seen = _State.seen is not None
    _State.seen = signal_number
    _State.handled_at = time.monotonic()
    if not _State.is_noted or already_seen:
        raise Interrupted(signal_number, "interrupted")


def install_handlers() -> None:
    """Take SIGINT and SIGTERM for this process; only the main thread may do that, elsewhere nothing changes."""
    # Python allows handlers in the main thread only; a library call from another thread keeps those that are there.
    if threading.current_thread() is not threading.main_thread():
        return
    _State.seen = None
    signal.signal(signal.SIGINT, _handle)
    signal.signal(signal.SIGTERM, _handle)
    if _State.watcher is None:
        # The system writes each signal's number into the pipe, also while the main thread is in C code.
        heard, written = os.pipe()
        os.set_blocking(written, False)
        signal.set_wakeup_fd(written, warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=_forget_pipe)  # a child's signals are not this process's
        _State.watcher = threading.Thread(target=_watch, args=(heard,), daemon=True)
        _State.watcher.start()


def _forget_pipe() -> None:
    if threading.current_thread() is threading.main_thread():
        signal.set_wakeup_fd(-1)


def _watch(heard: int) -> None:
    """End the process where the handler of a signal does not run in time."""
    while numbers := os.read(heard, 64):
        # The handler may have run before this thread woke up.
        arrived = time.monotonic() - _WAKE_SECONDS
        for number in numbers:
            # Another owner of the signal, such as a web server, has its own way to stop.
            if signal.getsignal(number) is not _handle:
                continue
            waits_for_step = _State.is_noted and _State.seen is None
            deadline = time.monotonic() + (_STEP_SECONDS if waits_for_step else _DEAF_SECONDS)
            while _State.handled_at < arrived and time.monotonic() < deadline:
                time.sleep(_LOOK_SECONDS)
            if _State.handled_at < arrived:
                os.write(2, b"textlstm: interrupted\n")
                os._exit(128 + number)


@contextmanager
def noted_between_steps() -> Iterator[None]:
    """Only note a signal in the block, whose loop asks for it between steps; leaving after one raises `Interrupted`."""
    _State.is_noted = True
    try:
        yield
    finally:
        _State.is_noted = False
    # A signal that came after the loop's last look is not lost.
    _raise_if_seen()


@contextmanager
def cooperative_stop() -> Iterator[Callable[[], int]]:
    """Give a function that returns the signal that asked for a stop, or 0; leaving after one raises `Interrupted`."""
    yield lambda: _State.seen or 0
    _raise_if_seen()


def _raise_if_seen() -> None:
    if _State.seen is not None:
        raise Interrupted(_State.seen, "interrupted")
