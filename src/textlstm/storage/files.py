"""Files and folders that are either complete or absent, outputs by name, digests, and errors of a failing disk."""

import errno
import hashlib
import itertools
import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from textlstm.errors import InputError, IntegrityError, StorageError

# The kinds of things an output's name may refer to: a file, a link, or something that no file may replace.

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


_REMEDY = ". Free space, or choose a folder that can be written."
_REMEDIES = {
    errno.EISDIR: ". A folder has this name: choose another one.",
    errno.ENOTDIR: ". A part of its path is a file: choose another folder.",
    errno.ENOENT: ". Its folder is not there: make it, or choose another one.",
    errno.ENAMETOOLONG: ". Choose a shorter name.",
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), ". Choose a folder that can be written."),
}
"""The advice by what went wrong, where the usual one would not help."""


def is_same_file(path: Path, other: Path) -> bool:
    """Return whether both names lead to one file that is there, compared by inode, so that links are found as well."""
    return path.exists() and other.exists() and path.samefile(other)


@contextmanager
def storage_errors(path: Path | str, *, remedy: str = "") -> Iterator[None]:
    """Turn an `OSError` of writing at `path` into one line.

    Args:
        path: What is written.
        remedy: The rest of the line, after the reason; empty means the advice that fits the reason.

    Raises:
        StorageError: The disk is full, read-only or fails.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        advice = remedy or _REMEDIES.get(error.errno or 0, _REMEDY)
        raise StorageError(f"{path}: cannot be written: {reason}{advice}") from error


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Give a stream whose bytes appear at `path` only after a clean end, when bytes and name are flushed to the disk.

    Raises:
        InputError: `path` is a device or a pipe.
        StorageError: The file cannot be written; nothing is left behind.
    """
    with storage_errors(path), replacing(output_file(path)) as stream:
        yield stream


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` as `atomic_file` does; raises OSError, for callers with a message of their own."""
    with replacing(path) as stream:
        stream.write(content)


@contextmanager
def replacing(path: Path, *, temporary: Path | None = None) -> Iterator[BinaryIO]:
    """Do what `atomic_file` does; raises OSError, for callers with a message of their own.

    Args:
        path: the file.
        temporary: its name until it is complete, on the same file system; None: a new file beside it, whose name no
            other file has. A kill leaves this file; `path` is untouched.
    """
    if temporary is None:
        _remove_leftovers(path)
        temporary = _new_beside(path)
    try:
        # The bytes reach the disk before the name does, and the name before anyone is told.
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        sync_names(path.parent)
    except BaseException:
        # Also on Ctrl-C: no half-written file is left.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


_LONGEST_NAME = 200
"""Characters of a file's name that the name of its temporary file repeats."""
_LEFTOVER_SECONDS = 86_400.0
"""A temporary file that nobody has written to for so long was left by a kill."""


def is_temporary_of(name: str, file_name: str) -> bool:
    """Return whether `name` is that of a temporary file of `file_name` beside it.

    >>> is_temporary_of(".out.csv.17.0.tmp", "out.csv")
    True
    """
    return re.fullmatch(rf"\.{re.escape(file_name[:_LONGEST_NAME])}\.\d+\.\d+\.tmp", name) is not None


def _new_beside(path: Path) -> Path:
    """Return a new empty file beside `path`; no file that is there already is touched."""
    for number in itertools.count():
        temporary = path.with_name(f".{path.name[:_LONGEST_NAME]}.{os.getpid()}.{number}.tmp")
        with suppress(FileExistsError):
            temporary.open("xb").close()
            return temporary
    raise AssertionError("numbers do not end")


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of `path` that kills have left; one that may be in use stays."""
    with suppress(OSError):
        beginning = f".{path.name[:_LONGEST_NAME]}."
        # Names alone, since every write looks through its folder, which may hold thousands of files.
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(beginning)]
        for other in (path.parent / name for name in names if is_temporary_of(name, path.name)):
            if time.time() - other.stat().st_mtime > _LEFTOVER_SECONDS:
                other.unlink()


@contextmanager
def atomic_folder(final: Path, *, remedy: str = "") -> Iterator[Path]:
    """Give a new folder that takes the name `final`, and replaces an earlier one, only after a clean end.

    Args:
        final: The folder; where it is a link, the folder it points to.
        remedy: As of `storage_errors`.

    Raises:
        StorageError: The folder cannot be written; the earlier one has not changed.
    """
    final = output_folder(final)
    # Beside the final folder, as a rename must stay within one file system; the process id keeps writers apart.
    temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    with storage_errors(final, remedy=remedy):
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            yield temporary
            # The names in the folder reach the disk before the folder gets its final one.
            sync_names(temporary)
            replace_folder(temporary, final)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def replace_folder(new: Path, final: Path) -> None:
    """Give the folder `new` the name `final`; an earlier folder of that name is removed last.

    Raises:
        StorageError: The folder cannot be renamed.
    """
    old = final.with_name(f".{final.name}.{os.getpid()}.old")
    with storage_errors(final):
        # A kill between the two renames leaves the earlier folder under its other name, whole.
        if final.exists():
            shutil.rmtree(old, ignore_errors=True)
            final.replace(old)
        new.replace(final)
        # Both are on the disk now; a kill here leaves the earlier folder beside the new one.
        shutil.rmtree(old, ignore_errors=True)
        sync_names(final.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` survive a power cut.

    Raises:
        StorageError: The folder cannot be synchronized.
    """
    with storage_errors(directory):
        sync_names(directory)


def sync_names(directory: Path) -> None:
    """Do what `sync_directory` does; raises OSError, for callers with a message of their own."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_files(directory: Path, digests: dict[str, str], *, remedy: str) -> None:
    """Compare each file of `directory` named in `digests` with its recorded sha256.

    Raises:
        IntegrityError: Files are missing or differ; one line each.
    """
    # All problems are collected, so that one message names every damaged file.
    problems = []
    for name, digest in digests.items():
        path = directory / name
        if not path.is_file():
            problems.append(f"{path}: is missing. {remedy}")
        elif sha256_of_file(path) != digest:
            problems.append(f"{path}: its content does not match the recorded sha256. {remedy}")
    if problems:
        raise IntegrityError(*problems)
