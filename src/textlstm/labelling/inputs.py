"""Inputs of a labelling job: paths, globs and URLs; a URL is fetched once."""

import hashlib
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from textlstm.corpus.rows.class_folders import list_class_files
from textlstm.corpus.rows.inputs import is_beside_output
from textlstm.corpus.rows.tables import fetched_rows
from textlstm.errors import InputError
from textlstm.storage.databases import is_database
from textlstm.storage.stores import file_system, is_remote

_COPY_BYTES = 1 << 22


def expand_remote(patterns: Sequence[str]) -> list[str]:
    """Return the files that URLs and globs of URLs name, in their order; what a glob matches is sorted.

    Raises:
        InputError: A URL that names nothing, all of them.
    """
    urls: list[str] = []
    problems = []
    for pattern in patterns:
        if is_database(pattern):
            urls.append(pattern)
            continue
        files = file_system(pattern)
        try:
            # Sorted, since the order of the inputs is the order of the output.
            found = sorted(files.unstrip_protocol(path) for path in files.glob(pattern))
            if files.unstrip_protocol(pattern) not in found:  # a glob: what labelling left beside outputs is no input
                found = [url for url in found if not is_beside_output(Path(url))]
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
    if is_database(name):
        return fetched_rows(name)
    try:
        # The version is part of the cache's key, so that an object that changed is fetched again.
        version = str(file_system(name).ukey(name))
    except OSError as error:
        raise InputError(f"{name}: could not be read: {error.strerror or error}.") from error
    return _fetched(name, version)


def num_bytes(name: str) -> int:
    """Return the size of a file, of all files of a folder of class folders, or of what a URL names.

    Raises:
        InputError: It cannot be found.
    """
    try:
        if is_database(name):
            return local_path(name).stat().st_size
        if is_remote(name):
            return int(file_system(name).size(name))
        path = Path(name)
        return sum(file.stat().st_size for file in list_class_files(path)) if path.is_dir() else path.stat().st_size
    except OSError as error:
        raise InputError(f"{name}: could not be read: {error.strerror or error}.") from error


def scratch_folder() -> str:
    """Return a new folder of this machine that goes with the process."""
    return tempfile.mkdtemp(dir=_cache_folder().name)


@cache
def _fetched(url: str, version: str) -> Path:
    # The digest keeps equal names of different URLs apart; the file keeps its name, whose ending tells the format.
    copy = (
        Path(_cache_folder().name)
        / hashlib.sha256(f"{url} {version}".encode()).hexdigest()[:16]
        / url.rpartition("/")[2]
    )
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file_system(url).open(url, "rb") as source, copy.open("wb") as target:
            while block := source.read(_COPY_BYTES):
                target.write(block)
    except OSError as error:
        raise InputError(f"{url}: could not be fetched: {error.strerror or error}.") from error
    return copy


@cache
def _cache_folder() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="textlstm-inputs-")
