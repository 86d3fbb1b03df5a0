"""Files of any format written in one go, to be read back."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from textlstm.corpus.files.formats import kind_by_name
from textlstm.corpus.files.packing import packed_stream
from textlstm.corpus.files.storage import atomic_file
from textlstm.corpus.files.writers import RecordWriter, record_writer


@contextmanager
def open_writer(path: Path, *, columns: Sequence[str] | None = None) -> Iterator[RecordWriter]:
    """Give a writer for `path`, format and compression by its name; the file appears complete or not at all."""
    kind = kind_by_name(path)
    with atomic_file(path) as stream, packed_stream(stream, kind.compression) as packer:
        writer = record_writer(packer, kind.format, columns=columns)
        yield writer
        writer.close()
