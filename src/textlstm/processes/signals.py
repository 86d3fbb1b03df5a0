"""A clean stop on SIGINT and SIGTERM.

Outside a cooperative section the first signal raises `Interrupted` at once. Inside one (a training loop that wants to
write a checkpoint first) it only sets a flag that the loop reads between steps; a second signal then raises.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from textlstm.errors import Interrupted


class _State:
    """The handler's state: the signal seen so far, and whether a loop looks at it between steps."""

    seen: int | None = None
    cooperative: bool = False


def _handle(signal_number: int, _frame: FrameType | None) -> None:
    already_seen = _State.seen is not None
    _State.seen = signal_number
    # The first signal inside a cooperative section is only noted; the loop asks for it between two steps.
    if not _State.cooperative or already_seen:
        raise Interrupted(signal_number, "interrupted")


def install_handlers() -> None:
    """Take SIGINT and SIGTERM for this process; only the main thread may do that, elsewhere nothing changes."""
    # Python allows handlers in the main thread only; a library call from another thread keeps those that are there.
    if threading.current_thread() is threading.main_thread():
        _State.seen = None
        signal.signal(signal.SIGINT, _handle)
        signal.signal(signal.SIGTERM, _handle)


@contextmanager
def cooperative_stop() -> Iterator[Callable[[], int]]:
    """Give a function that returns the signal that asked for a stop, or 0; leaving after one raises `Interrupted`."""
    _State.cooperative = True
    try:
        yield lambda: _State.seen or 0
    finally:
        _State.cooperative = False
    # A signal that came after the loop's last look is not lost.
    if _State.seen is not None:
        raise Interrupted(_State.seen, "interrupted")
