"""Stores for the files of a job: a local folder, or any file system that fsspec knows.

A file written through a store is complete or absent: it gets a temporary name inside the work folder, is flushed to
the disk and then renamed. Names are relative to the store's root and use `/`.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from textlstm.errors import InputError
from textlstm.storage.databases import is_database
from textlstm.storage.files import replacing, storage_errors, sync_names

OUTPUT_REMEDY = "; free space or choose another output, then run the same command"


class Store(Protocol):
    """Files below one root."""

    @property
    def root(self) -> str:
        """Address of the root, from which `open_store` makes the same store in another process."""

    def address(self, name: str) -> str:
        """Return the full path or URL of `name`."""

    def exists(self, name: str) -> bool:
        """Say whether `name` is a file."""

    def open(self, name: str) -> BinaryIO:
        """Open `name` for reading; raises OSError."""

    def create(self, name: str, *, scratch: str) -> AbstractContextManager[BinaryIO]:
        """Give a stream whose bytes appear at `name` after a clean end; `scratch` is the folder of the temporary name.

        Raises:
            StorageError: The file cannot be written; an older one of that name is untouched.
        """

    def copy(self, source: str, name: str, *, scratch: str) -> None:
        """Make `name` what `source` is now, and stays when another file gets the name `source`. Raises StorageError."""

    def names(self, folder: str) -> list[str]:
        """Return the sorted names of the files directly in `folder`; none when there is no such folder."""

    def remove(self, name: str) -> None:
        """Remove the file `name`; an absent one is fine. Raises StorageError."""

    def remove_folder(self, folder: str) -> None:
        """Remove `folder` and all that is in it; an absent one is fine. Raises StorageError."""


def open_store(root: str) -> Store:
    """Return the store at `root`: a local folder, an fsspec URL such as `s3://bucket/folder`, or a table's address.

    Raises:
        InputError: No file system is installed for that kind of URL.
    """
    if is_database(root):
        # Imported here, as it imports what few installations have.
        from textlstm.storage.database_store import DatabaseStore

        return DatabaseStore(root)
    if is_remote(root):
        return RemoteStore(root)
    return LocalStore(root)


def is_remote(name: str) -> bool:
    """Say whether `name` is a URL and not a path."""
    return "://" in name


class LocalStore:
    """Files below a local folder, durable once created."""

    def __init__(self, root: str) -> None:
        """Use the folder `root`; nothing is created until a file is."""
        self.root = root
        self._directory = Path(root)

    def address(self, name: str) -> str:
        """Return the path of `name`."""
        return str(self._directory / name)

    def exists(self, name: str) -> bool:
        """Say whether `name` is a file."""
        return (self._directory / name).is_file()

    def open(self, name: str) -> BinaryIO:
        """Open `name` for reading; raises OSError."""
        return cast(BinaryIO, (self._directory / name).open("rb"))

    @contextmanager
    def create(self, name: str, *, scratch: str) -> Iterator[BinaryIO]:
        """Give a stream whose bytes appear at `name` after a clean end, flushed to the disk."""
        final = self._directory / name
        # A random name keeps writers apart; after a kill the file stays in the work folder.
        temporary = self._directory / scratch / f"{uuid.uuid4().hex}.tmp"
        with storage_errors(final, remedy=OUTPUT_REMEDY):
            temporary.parent.mkdir(parents=True, exist_ok=True)
            final.parent.mkdir(parents=True, exist_ok=True)
            with replacing(final, temporary=temporary) as stream:
                yield stream

    def copy(self, source: str, name: str, *, scratch: str) -> None:
        """Make `name` a second name of the file `source` where the disk allows it, or else a copy."""
        final, temporary = self._directory / name, self._directory / scratch / f"{uuid.uuid4().hex}.tmp"
        with storage_errors(final, remedy=OUTPUT_REMEDY):
            temporary.parent.mkdir(parents=True, exist_ok=True)
            final.parent.mkdir(parents=True, exist_ok=True)
            # To rename a link onto another link of the same file does nothing, and would leave the temporary name.
            final.unlink(missing_ok=True)
            try:
                temporary.hardlink_to(self._directory / source)
                temporary.replace(final)
                sync_names(final.parent)
            except OSError:
                _copy_bytes(self, source, name, scratch)

    def names(self, folder: str) -> list[str]:
        """Return the sorted names of the files directly in `folder`."""
        try:
            return sorted(entry.name for entry in os.scandir(self._directory / folder) if entry.is_file())
        except FileNotFoundError:
            return []

    def remove(self, name: str) -> None:
        """Remove the file `name`."""
        with storage_errors(self.address(name), remedy=OUTPUT_REMEDY):
            (self._directory / name).unlink(missing_ok=True)

    def remove_folder(self, folder: str) -> None:
        """Remove `folder` and all that is in it."""
        path = self._directory / folder
        with storage_errors(path, remedy=OUTPUT_REMEDY):
            if path.is_dir():
                shutil.rmtree(path)


class RemoteStore:
    """Files below a URL. Each file system renames in its own way; object stores show only complete files."""

    def __init__(self, root: str) -> None:
        """Use the URL `root`.

        Raises:
            InputError: No file system is installed for that kind of URL.
        """
        self.root = root
        self._files = file_system(root)

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
        """Give a stream whose bytes appear at `name` after a clean end."""
        final = self.address(name)
        temporary = self.address(f"{scratch}/{uuid.uuid4().hex}.tmp")
        with storage_errors(final, remedy=OUTPUT_REMEDY):
            try:
                self._files.makedirs(temporary.rpartition("/")[0], exist_ok=True)
                self._files.makedirs(final.rpartition("/")[0], exist_ok=True)
                with self._files.open(temporary, "wb") as stream:
                    yield cast(BinaryIO, stream)
                # The file is complete once it is closed; an object store copies and removes instead of renaming.
                self._files.mv(temporary, final)
            except BaseException:
                with suppress(OSError):
                    self._files.rm(temporary)
                raise

    def copy(self, source: str, name: str, *, scratch: str) -> None:
        """Write the bytes of `source` as `name`."""
        _copy_bytes(self, source, name, scratch)

    def names(self, folder: str) -> list[str]:
        """Return the sorted names of the files directly in `folder`."""
        try:
            found = self._files.ls(self.address(folder), detail=True)
        except FileNotFoundError:
            return []
        # fsspec lists full addresses; callers want the names alone.
        return sorted(entry["name"].rpartition("/")[2] for entry in found if entry["type"] == "file")

    def remove(self, name: str) -> None:
        """Remove the file `name`."""
        with storage_errors(self.address(name), remedy=OUTPUT_REMEDY):
            if self.exists(name):
                self._files.rm(self.address(name))

    def remove_folder(self, folder: str) -> None:
        """Remove `folder` and all that is in it."""
        with storage_errors(self.address(folder), remedy=OUTPUT_REMEDY):
            if self._files.exists(self.address(folder)):
                self._files.rm(self.address(folder), recursive=True)


def _copy_bytes(store: Store, source: str, name: str, scratch: str) -> None:
    with (
        storage_errors(store.address(source), remedy=OUTPUT_REMEDY),
        store.open(source) as content,
        store.create(name, scratch=scratch) as stream,
    ):
        shutil.copyfileobj(content, stream)


def file_system(url: str) -> Any:
    """Return the fsspec file system of `url`.

    Raises:
        InputError: No file system is installed for that kind of URL.
    """
    import fsspec  # type: ignore[import-untyped]

    try:
        return fsspec.core.url_to_fs(url)[0]
    except (ValueError, ImportError) as error:
        scheme = url.partition("://")[0]
        raise InputError(f"{url}: no file system for {scheme}:// is installed ({error})") from error
