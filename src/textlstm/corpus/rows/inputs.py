"""From what the user gives (paths, globs, folders, -) to the list of files to read."""

import atexit
import glob
import os
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from textlstm.config import FileFormat
from textlstm.corpus.rows.class_folders import is_class_folder
from textlstm.corpus.rows.settings import STDIN, has_row_suffix, kind_by_name
from textlstm.corpus.rows.streams import open_error
from textlstm.corpus.rows.tables import fetched_rows
from textlstm.errors import InputError
from textlstm.processes.standard_streams import require_standard_input, standard_input
from textlstm.storage.databases import is_database
from textlstm.storage.files import storage_errors

_GLOB_CHARACTERS = frozenset("*?[")
REJECTS_SUFFIX = ".rejects.jsonl"
MANIFEST_SUFFIX = ".manifest.json"
WORK_SUFFIX = ".work"
"""Beside an output `NAME`, labelling writes `NAME` with these: globs and folders never take them as inputs."""


def expand_inputs(patterns: Sequence[str]) -> list[Path]:
    """Return the files that `patterns` name, in their order; what a glob or folder holds is sorted by name.

    A folder stands for the data files in it, or, when it holds class folders, for itself (one row a file). `-` stands
    for standard input and must be alone. The rows of a database come as a file. What labelling wrote beside its
    outputs (rejects, manifests, work folders) is taken only by its full name.

    Raises:
        InputError: a path that is not there, a glob that matches nothing, an empty folder, a file given twice, or
            files of different formats; all that is wrong.
    """
    paths: list[Path] = []
    problems: list[str] = []
    for pattern in patterns:
        try:
            paths += _expand(pattern)
        except InputError as error:
            problems += error.problems
    if STDIN in paths and len(paths) > 1:
        problems.append("-: standard input cannot be mixed with files.")
    problems += _duplicates(paths)
    problems += _mixed_formats(paths)
    if problems:
        raise InputError(*problems)
    return paths


def clash_problems(columns: Sequence[str], added: Sequence[str], *, name: str) -> list[str]:
    """Return a problem for each column of input `name` that has the name of a column to be added."""
    return [
        f"{name}: the input has a column {column!r} already, which labelling adds. "
        "Rename it, or set another name in labelling.*_name."
        for column in added
        if column in columns
    ]


def _expand(pattern: str) -> list[Path]:
    if pattern == str(STDIN):
        require_standard_input()
        return [STDIN]
    if is_database(pattern):
        return [fetched_rows(pattern)]
    path = Path(pattern).expanduser()
    if path.is_dir():
        return _in_folder(path)
    # A file whose name has glob characters is taken by its name.
    if path.exists():
        # /dev/zero and its like never end; a pipe, as of `<(zcat x)`, does.
        if path.is_char_device() or path.is_block_device():
            raise InputError(f"{pattern}: is a device and no file; name a file, or - for standard input.")
        return [path]
    if _GLOB_CHARACTERS.isdisjoint(pattern):
        raise InputError(f"{pattern}: no such file.")
    found = sorted(map(Path, glob.glob(str(path), recursive=True)))  # noqa: PTH207  # absolute and relative alike
    matches = [match for match in found if not is_beside_output(match)]
    if not matches:
        only = " but rejects, manifests and work folders of labelling" if found else ""
        raise InputError(f"{pattern}: matches no file{only}.")
    return [found for match in matches for found in (_in_folder(match) if match.is_dir() else [match])]


def is_beside_output(path: Path) -> bool:
    """Return whether labelling wrote `path` beside an output: `labelled.csv.rejects.jsonl`, `labelled.csv.work/...`."""
    # A work folder marks all that lies in it; rejects and manifests are single files.
    for place in (path, *path.parents):
        suffixes = (REJECTS_SUFFIX, MANIFEST_SUFFIX) if place == path else ()
        for suffix in (*suffixes, WORK_SUFFIX):
            output = place.with_name(place.name.removesuffix(suffix)) if place.name.endswith(suffix) else None
            # Other programs use such names as well, so the output is there, or is named like one.
            if output is not None and output.name and (has_row_suffix(output) or output.is_file()):
                return True
    return False


def _in_folder(directory: Path) -> list[Path]:
    try:
        if is_class_folder(directory):
            return [directory]
        children = sorted(directory.iterdir())
    except OSError as error:
        raise open_error(directory, error) from error
    found = [
        child
        for child in children
        if child.is_file() and has_row_suffix(child) and child.name[0] != "." and not is_beside_output(child)
    ]
    # Workbooks beside other files are somebody's notes; a workbook that is open has a second file, `~$NAME`.
    found = [child for child in found if child.suffix.lower() != ".xlsx"] or [
        child for child in found if not child.name.startswith("~$")
    ]
    if not found:
        raise InputError(f"{directory}: holds no data files and no class folders.")
    return found


def _duplicates(paths: Sequence[Path]) -> list[str]:
    seen: dict[str, Path] = {}
    problems = []
    for path in paths:
        # A link counts as the file it points to.
        real = os.path.realpath(path)
        if real in seen:
            problems.append(f"{path}: is given twice; it is the same file as {seen[real]}.")
        seen.setdefault(real, path)
    return problems


def _mixed_formats(paths: Sequence[Path]) -> list[str]:
    formats: dict[FileFormat, Path] = {}
    for path in paths:
        if path == STDIN:
            continue
        if path.is_dir():
            formats.setdefault(FileFormat.folder, path)
        elif has_row_suffix(path, is_read=True):
            formats.setdefault(kind_by_name(path, is_read=True).format, path)
    if len(formats) < 2:
        return []
    listed = ", ".join(f"{format} ({path})" for format, path in formats.items())
    return [f"the inputs have mixed formats: {listed}. Give files of one format."]


# Standard input and pipes in files, for those who read them twice.


def can_be_read_twice(path: Path) -> bool:
    """Say whether `path` gives its rows again when it is opened again: standard input and a pipe do not."""
    return path != STDIN and not path.is_fifo()


@cache
def kept_copy(path: Path) -> Path:
    """Copy standard input or a pipe to a file of its name, once a process; the file goes when the process ends.

    Raises:
        InputError: the pipe cannot be opened.
        StorageError: there is no room for the copy.
    """
    try:
        source = standard_input() if path == STDIN else path.open("rb")
    except OSError as error:
        raise open_error(path, error) from error
    with storage_errors(Path(tempfile.gettempdir())):
        directory = Path(tempfile.mkdtemp(prefix="textlstm-"))
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        copied = directory / ("stdin" if path == STDIN else path.name)
        with source, copied.open("wb") as copy:
            shutil.copyfileobj(source, copy)
    return copied
