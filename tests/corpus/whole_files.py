"""Files of any format written in one go, to be read back."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from textlstm.corpus.rows.settings import kind_by_name
from textlstm.corpus.rows.streams import packed_stream
from textlstm.corpus.rows.writers import RecordWriter, record_writer
from textlstm.storage.files import atomic_file


@contextmanager
def open_writer(path: Path, *, columns: Sequence[str] | None = None) -> Iterator[RecordWriter]:
    """Give a writer for `path`, format and compression by its name; the file appears complete or not at all."""
    kind = kind_by_name(path)
    with atomic_file(path) as stream, packed_stream(stream, kind.compression) as packer:
        writer = record_writer(packer, kind.format, columns=columns)
        yield writer
        writer.close()
