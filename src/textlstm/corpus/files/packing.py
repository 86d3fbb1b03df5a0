"""Writes gzip and zstd streams of which the same content always has the same bytes."""

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, assert_never, cast

from textlstm.corpus.files.formats import Compression

_GZIP_LEVEL = 6
_ZSTD_LEVEL = 3
_BUFFER_BYTES = 1 << 17
"""Content reaches the packer in pieces of this size, however it was written."""


@contextmanager
def packed_stream(stream: BinaryIO, compression: Compression) -> Iterator[BinaryIO]:
    """Give a stream that packs what is written to it into `stream`, which stays open; several may follow each other.

    The bytes depend on the content alone: no time and no name is stored.
    """
    match compression:
        case Compression.none:
            yield stream
        case Compression.gzip:
            packer = gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=stream, mtime=0)
            with io.BufferedWriter(cast(io.RawIOBase, packer), _BUFFER_BYTES) as buffer:
                yield buffer
        case Compression.zstd:
            import zstandard

            compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)
            raw = cast(io.RawIOBase, compressor.stream_writer(stream, closefd=False))
            with io.BufferedWriter(raw, _BUFFER_BYTES) as buffer:
                yield buffer
        case _:
            assert_never(compression)
