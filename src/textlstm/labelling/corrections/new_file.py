"""The file that `review` or `merge` writes: its name is judged before anything is read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textlstm.config import FileFormat
from textlstm.corpus.rows.settings import Compression, has_row_suffix, kind_by_name
from textlstm.corpus.rows.streams import packed_stream
from textlstm.corpus.rows.writers import RecordWriter, record_writer
from textlstm.errors import InputError
from textlstm.storage.files import atomic_file, is_same_file, output_file

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class NewFile:
    """Where rows go, and how they stand there."""

    path: Path
    format: FileFormat
    compression: Compression

    @property
    def has_fixed_columns(self) -> bool:
        """Whether all rows have the same columns; each row of JSONL names its own."""
        return self.format is not FileFormat.jsonl

    @contextmanager
    def writer(self, columns: Sequence[str], *, schema: "pa.Schema | None" = None) -> Iterator[RecordWriter]:
        """Give a writer whose file appears after a clean end.

        Args:
            columns: The columns of all rows; rows of JSONL have their own.
            schema: The columns of a Parquet file with their types; None: all are strings.

        Raises:
            StorageError: The file cannot be written; nothing is left behind.
        """
        fixed = columns if self.has_fixed_columns and schema is None else None
        with atomic_file(self.path) as stream, packed_stream(stream, self.compression) as packer:
            writer = record_writer(packer, self.format, columns=fixed, schema=schema)
            yield writer
            writer.close()


def new_file(name: str, *, key: str, overwrite: bool, read: Sequence[Path]) -> NewFile:
    """Return the file `name`, which the setting `key` gives.

    Args:
        name: As the user wrote it.
        key: The setting, for messages.
        overwrite: Whether an earlier file may be replaced.
        read: Files that the command reads, which stay as they are.

    Raises:
        InputError: The name tells no format that is written, the file exists, is a pipe or a device, or is read.
    """
    path = Path(name).expanduser()
    kind = kind_by_name(path) if has_row_suffix(path) else None
    if kind is None or kind.format is FileFormat.text:
        raise InputError(
            f"{name}: tells no format that is written; choose a name that ends in .csv, .tsv, .jsonl, .parquet or "
            ".xlsx, the first three also with .gz or .zst"
        )
    target = output_file(path)
    # Before `exists`, whose remedy would destroy the file.
    for source in read:
        if is_same_file(target, source):
            raise InputError(f"{name}: is a file that is read and stays as it is; choose another {key}")
    if path.exists() and not overwrite:
        raise InputError(f"{path}: exists; choose another {key} or set overwrite=true")
    return NewFile(path, kind.format, kind.compression)
