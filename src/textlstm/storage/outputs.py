"""The kinds of things an output's name may refer to: a file, a link, or something that no file may replace."""

import os
import stat
import sys
from pathlib import Path

from textlstm.errors import InputError

_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def output_file(path: Path, *, remedy: str = "name a file") -> Path:
    """Return the regular file that `path` names, or will be: links are followed, so that they stay links.

    A file appears by renaming, which would replace a link, a pipe or even a device by a regular file.

    Args:
        path: the output's name as the user wrote it.
        remedy: what to do about a pipe or device, in the message.

    Raises:
        InputError: it is a pipe, a device or a socket, or standard output by another name.
    """
    try:
        status = path.stat()
    except OSError:
        return _target(path)  # not there, or not to be seen: who writes it says so
    for is_kind, kind in _KINDS:
        if is_kind(status.st_mode):
            raise InputError(f"{path}: is {kind} and no file; {remedy}")
    # /dev/stdout and /proc/self/fd/1 are links of the system to a file that somebody holds open.
    if path.is_symlink() and _is_standard_output(status):
        raise InputError(f"{path}: is standard output; {remedy}")
    return _target(path)


def output_folder(path: Path) -> Path:
    """Return the folder that `path` names, or will be: a folder that takes its place by renaming must lie beside it."""
    return _target(path)


def _target(path: Path) -> Path:
    return path.resolve() if path.is_symlink() else path


def _is_standard_output(status: os.stat_result) -> bool:
    try:
        # Standard output may be closed or missing.
        return os.path.samestat(status, os.fstat(sys.__stdout__.fileno() if sys.__stdout__ else 1))
    except (OSError, ValueError):
        return False
