"""Folders of text files by class: every file is one row, the name of its folder is the label."""

from contextlib import closing
from pathlib import Path

from textlstm.corpus.rows.delimited import bad_bytes
from textlstm.corpus.rows.lines import MAX_ROW_BYTES, ReadCounts
from textlstm.corpus.rows.records import Record, Reject, Rows, text_of_name
from textlstm.corpus.rows.settings import Compression, ReadSettings, encoding_name, has_row_suffix
from textlstm.corpus.rows.streams import open_error, read_blocks
from textlstm.errors import InputError

PATH_COLUMN = "path"
"""Column that the reader adds: the file's path inside the folder."""
_BOM = "\ufeff"
_PACKED = {".gz": Compression.gzip, ".zst": Compression.zstd}


class _TooLongError(Exception):
    """The file is longer than MAX_ROW_BYTES."""


def is_class_folder(directory: Path) -> bool:
    """Return whether `directory` holds class folders with files, and no data files of its own."""
    children = [child for child in directory.iterdir() if not child.name.startswith(".")]
    return any(child.is_dir() for child in children) and not any(
        child.is_file() and has_row_suffix(child) for child in children
    )


def class_folder_columns(settings: ReadSettings) -> tuple[str, str, str]:
    """Return the columns of the records: text, label, path inside the folder."""
    return settings.columns.text, settings.columns.label or "label", PATH_COLUMN


def list_class_files(directory: Path) -> list[Path]:
    """Return the files of all classes in an order that does not depend on the file system.

    Raises:
        InputError: folders inside class folders, or no file at all; all that is wrong.
    """
    try:
        classes = sorted(child for child in directory.iterdir() if child.is_dir() and not child.name.startswith("."))
        files, problems = [], []
        for folder in classes:
            for child in sorted(folder.iterdir()):
                if child.name.startswith("."):
                    continue
                if child.is_dir():
                    problems.append(f"{child}: is a folder inside of a class folder; only files are read there.")
                files.append(child)
    except OSError as error:
        raise open_error(directory, error) from error
    if problems:
        raise InputError(*problems)
    if not files:
        raise InputError(f"{directory}: no text files in class folders, as in {directory.name}/sport/001.txt.")
    return files


def read_class_folder(directory: Path, settings: ReadSettings, *, first: int, counts: ReadCounts) -> Rows:
    """Yield one row a file, from row `first` on; the rows' file is the folder, `path` tells which file it was.

    A file is its text: nothing is stripped but a BOM.
    """
    name = str(directory)
    columns = class_folder_columns(settings)
    encoding = encoding_name(settings.encoding, key_prefix=settings.key_prefix)
    for number, path in enumerate(list_class_files(directory), 1):
        # Row numbers are places in the sorted list, so files before `first` are not opened.
        if number < first:
            continue
        counts.rows += 1
        inside = path.relative_to(directory).as_posix()
        try:
            text = _content(path, settings).decode(encoding).removeprefix(_BOM)
        except UnicodeDecodeError as error:
            reason = bad_bytes(error, encoding, 0)
        except _TooLongError:
            reason = f"is longer than {MAX_ROW_BYTES >> 20} MiB"
        else:
            if "\0" not in text:
                yield Record(
                    name,
                    number,
                    0,
                    dict(zip(columns, (text, text_of_name(path.parent.name), text_of_name(inside)), strict=True)),
                )
                continue
            reason = "holds a NUL byte"
        counts.rejects += 1
        yield Reject(name, number, 0, f"{inside} {reason}")


def _content(path: Path, settings: ReadSettings) -> bytes:
    compression = _PACKED.get(path.suffix, Compression.none)
    blocks: list[bytes] = []
    with closing(read_blocks(path, compression=compression, max_expansion=settings.max_expansion)) as found:
        for block in found:
            blocks.append(block)
            # A file is given up as soon as it is too long, before the rest is read.
            if sum(map(len, blocks)) > MAX_ROW_BYTES:
                raise _TooLongError
    return b"".join(blocks)
