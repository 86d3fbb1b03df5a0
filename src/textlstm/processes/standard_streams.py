"""Standard input, output and error of this process, which whoever started it may have closed (`<&-`, a service)."""

import os
import sys
from io import BufferedReader, TextIOWrapper
from typing import BinaryIO

from textlstm.errors import InputError, StorageError

_NAMES = ("stdin", "stdout", "stderr")
_CLOSED: set[int] = set()
"""Numbers of the streams that were closed when this process began."""


def open_standard_streams() -> None:
    """Put the null device in place of closed streams, so that no file gets their numbers and what a library prints.

    Standard output then writes what its encoding does not have, such as a byte of a file name that is no text, with a
    backslash, as Python lets standard error do.
    """
    for number, name in enumerate(_NAMES):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is the one that was asked for, since those below are open by now.
            os.open(os.devnull, os.O_WRONLY if number else os.O_RDONLY)
            os.set_inheritable(number, True)
            _CLOSED.add(number)
        # Python has None for a stream that was closed when it began.
        if getattr(sys, name) is None:
            stream = os.fdopen(number, "w" if number else "r", encoding="utf-8", errors="replace", closefd=False)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def require_standard_input() -> None:
    """Raise InputError if standard input was closed."""
    if 0 in _CLOSED:
        raise InputError("-: standard input is closed; name a file, or send the rows into the command")


def standard_input() -> BufferedReader:
    """Return a stream of standard input's bytes; closing it leaves standard input open.

    Raises:
        InputError: it was closed when the process began.
    """
    require_standard_input()
    return os.fdopen(os.dup(sys.stdin.fileno()), "rb")


def standard_output() -> BinaryIO:
    """Return the stream of standard output's bytes.

    Raises:
        InputError: it was closed when the process began.
    """
    if 1 in _CLOSED:
        raise InputError("output=-: standard output is closed; name a file, or send the rows somewhere")
    return sys.stdout.buffer


def flush_output() -> None:
    """Write what was printed and still waits.

    Raises:
        BrokenPipeError: nobody reads it any more.
        StorageError: the disk is full or fails.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        discard_output()
        raise StorageError(f"standard output: {error.strerror or error}") from error


def discard_output() -> None:
    """Send what is still to be printed nowhere: its reader is gone, and Python's flush at exit would fail once more."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
