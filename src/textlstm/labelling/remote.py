"""Inputs and outputs on any file system that fsspec knows, such as `s3://`, `gs://` or `memory://`."""

import hashlib
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, cast

from textlstm.corpus.files.class_folders import list_class_files
from textlstm.errors import InputError
from textlstm.labelling.store import storage_errors

_COPY_BYTES = 1 << 22


def is_remote(name: str) -> bool:
    """Say whether `name` is a URL and not a path."""
    return "://" in name


class RemoteStore:
    """Files below a URL. A rename is what the file system makes of it; object stores show only complete files."""

    def __init__(self, root: str) -> None:
        """Stand on `root`.

        Raises:
            InputError: No file system is installed for that kind of URL.
        """
        self.root = root
        self._files = _file_system(root)

    def address(self, name: str) -> str:
        """Return the URL of `name`."""
        return f"{self.root}/{name}"

    def exists(self, name: str) -> bool:
        """Say whether `name` is a file."""
        return bool(self._files.isfile(self.address(name)))

    def open(self, name: str) -> BinaryIO:
        """Open `name` for reading; raises OSError."""
        return cast(BinaryIO, self._files.open(self.address(name), "rb"))

    @contextmanager
    def create(self, name: str, *, scratch: str) -> Iterator[BinaryIO]:
        """Give a stream whose bytes stand at `name` after a clean end."""
        final = self.address(name)
        temporary = self.address(f"{scratch}/{uuid.uuid4().hex}.tmp")
        with storage_errors(final):
            try:
                self._files.makedirs(temporary.rpartition("/")[0], exist_ok=True)
                self._files.makedirs(final.rpartition("/")[0], exist_ok=True)
                with self._files.open(temporary, "wb") as stream:
                    yield cast(BinaryIO, stream)
                self._files.mv(temporary, final)
            except BaseException:
                with suppress(OSError):
                    self._files.rm(temporary)
                raise

    def names(self, folder: str) -> list[str]:
        """Return the sorted names of the files directly in `folder`."""
        try:
            found = self._files.ls(self.address(folder), detail=True)
        except FileNotFoundError:
            return []
        return sorted(entry["name"].rpartition("/")[2] for entry in found if entry["type"] == "file")

    def remove(self, name: str) -> None:
        """Remove the file `name`."""
        with storage_errors(self.address(name)):
            if self.exists(name):
                self._files.rm(self.address(name))

    def remove_folder(self, folder: str) -> None:
        """Remove `folder` and all that is in it."""
        with storage_errors(self.address(folder)):
            if self._files.exists(self.address(folder)):
                self._files.rm(self.address(folder), recursive=True)


def expand_remote(patterns: Sequence[str]) -> list[str]:
    """Return the files that URLs and globs of URLs name, in their order; what a glob matches is sorted.

    Raises:
        InputError: A URL that names nothing, all of them.
    """
    urls: list[str] = []
    problems = []
    for pattern in patterns:
        files = _file_system(pattern)
        try:
            found = sorted(files.unstrip_protocol(path) for path in files.glob(pattern))
        except OSError as error:
            problems.append(f"{pattern}: could not be read: {error.strerror or error}.")
            continue
        if not found:
            problems.append(f"{pattern}: no such file.")
        urls += found
    if problems:
        raise InputError(*problems)
    return urls


def local_path(name: str) -> Path:
    """Return where the bytes of a path or URL can be read on this machine; a URL is fetched once a process and version.

    Raises:
        InputError: It cannot be fetched.
    """
    if not is_remote(name):
        return Path(name)
    try:
        version = str(_file_system(name).ukey(name))
    except OSError as error:
        raise InputError(f"{name}: could not be read: {error.strerror or error}.") from error
    return _fetched(name, version)


def num_bytes(name: str) -> int:
    """Return the size of a file, of all files of a folder of class folders, or of what a URL names.

    Raises:
        InputError: It cannot be found.
    """
    try:
        if is_remote(name):
            return int(_file_system(name).size(name))
        path = Path(name)
        return sum(file.stat().st_size for file in list_class_files(path)) if path.is_dir() else path.stat().st_size
    except OSError as error:
        raise InputError(f"{name}: could not be read: {error.strerror or error}.") from error


@cache
def _fetched(url: str, version: str) -> Path:
    copy = (
        Path(_cache_folder().name)
        / hashlib.sha256(f"{url} {version}".encode()).hexdigest()[:16]
        / url.rpartition("/")[2]
    )
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _file_system(url).open(url, "rb") as source, copy.open("wb") as target:
            while block := source.read(_COPY_BYTES):
                target.write(block)
    except OSError as error:
        raise InputError(f"{url}: could not be fetched: {error.strerror or error}.") from error
    return copy


@cache
def _cache_folder() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="textlstm-inputs-")


def _file_system(url: str) -> Any:
    import fsspec  # type: ignore[import-untyped]

    try:
        return fsspec.core.url_to_fs(url)[0]
    except (ValueError, ImportError) as error:
        scheme = url.partition("://")[0]
        raise InputError(f"{url}: no file system for {scheme}:// is installed ({error})") from error
