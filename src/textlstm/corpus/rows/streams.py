"""Bytes of an input file in blocks: opened, unpacked, capped, and watched for changes."""

import gzip
import io
import stat
import sys
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, NamedTuple, assert_never, cast

from textlstm.corpus.rows.settings import STDIN, Compression
from textlstm.errors import InputError, StorageError
from textlstm.processes.standard_streams import standard_input

# Writes gzip and zstd streams of which the same content always has the same bytes.

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
            # At its end the buffer closes the packer, which writes its trailer and leaves `stream` open.
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


BLOCK_BYTES = 1 << 20
_EXPANSION_GRACE = 1 << 20
"""Unpacked bytes that are free of the expansion cap, so that tiny files never trip over it."""
_ZSTD_FEED = 1 << 10
"""Packed bytes handed over at once; zstd cannot bound its output, and 4 bytes may unpack to 128 KiB."""
_ZSTD_WINDOW = 1 << 27
"""Largest window in bytes, which bounds memory."""


class FileState(NamedTuple):
    """What tells that a file changed: length in bytes, modification time in ns, inode."""

    size: int
    modified_ns: int
    inode: int


def file_state(path: Path) -> FileState | None:
    """Return the state of a regular file, None for a pipe or standard input.

    Raises:
        InputError: there is no such file, or it is a folder or a device, or may not be read.
    """
    if path == STDIN:
        return None
    try:
        status = path.stat()
    except OSError as error:
        raise open_error(path, error) from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path}: is a folder, not a file.")
    if stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode):
        return None
    if status.st_size == 0:
        raise InputError(f"{path}: is empty (0 bytes).")
    return FileState(status.st_size, status.st_mtime_ns, status.st_ino)


def check_unchanged(path: Path, before: FileState | None) -> None:
    """Raise InputError if the file at `path` is not what it was when its state was `before`."""
    if before is None:
        return
    try:
        status = path.stat()
        unchanged = before == FileState(status.st_size, status.st_mtime_ns, status.st_ino)
    except OSError:
        unchanged = False
    if not unchanged:
        raise InputError(f"{path}: changed while it was read. Run again when nothing writes to it.")


def open_error(path: Path, error: OSError) -> InputError | StorageError:
    """Return the error that tells why `path` could not be opened or read."""
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return InputError(f"{path}: no such file.")
        case IsADirectoryError():
            return InputError(f"{path}: is a folder, not a file.")
        case PermissionError():
            return InputError(f"{path}: may not be read (permission denied).")
        case _:
            return StorageError(f"{path}: could not be read: {error.strerror or error}.")


def read_blocks(
    path: Path, *, compression: Compression = Compression.none, max_expansion: int = 200, start: int = 0
) -> Generator[bytes, None, None]:
    """Yield the unpacked bytes of `path` in blocks, from the unpacked byte `start` on.

    Raises:
        InputError: it cannot be opened, is damaged, ends early, or unpacks to over `max_expansion` times its size.
        StorageError: reading fails.
    """
    try:
        with _open(path) as file:
            match compression:
                case Compression.none:
                    if start:
                        file.seek(start)
                    # `read1` gives what a pipe holds now and does not wait for a full block.
                    yield from iter(lambda: file.read1(BLOCK_BYTES), b"")
                case Compression.gzip | Compression.zstd:
                    # Packed data cannot seek: what comes before `start` is unpacked and dropped.
                    unpack = _gunzip if compression is Compression.gzip else _unzstd
                    with closing(unpack(file, path)) as blocks:
                        yield from _skip(_capped(blocks, path, max_expansion), start)
    except OSError as error:
        raise open_error(path, error) from error


def _open(path: Path) -> BufferedReader:
    if path == STDIN:
        return standard_input()
    return path.open("rb")


def _skip(blocks: Iterator[bytes], start: int) -> Iterator[bytes]:
    for block in blocks:
        if start >= len(block):
            start -= len(block)
            continue
        yield block[start:] if start else block
        start = 0


def _capped(blocks: Iterator[bytes], path: Path, max_expansion: int) -> Iterator[bytes]:
    # Standard input has no size to compare with, and so no cap.
    packed_size = path.stat().st_size if path != STDIN else sys.maxsize
    allowed = packed_size * max_expansion + _EXPANSION_GRACE
    total = 0
    for block in blocks:
        total += len(block)
        if total > allowed:
            raise InputError(
                f"{path}: unpacks to more than {max_expansion} times its size of {packed_size:,} bytes. "
                "If it is no bomb, unpack it first or set data.max_expansion."
            )
        yield block


def _gunzip(file: BufferedReader, path: Path) -> Generator[bytes, None, None]:
    # A gzip file may hold several members, one after another; each has an inflater of its own.
    inflater = None
    packed = file.read1(BLOCK_BYTES)
    while packed:
        if inflater is None:
            packed = packed.lstrip(b"\0")  # padding between members is legal
            if packed:
                inflater = zlib.decompressobj(wbits=31)
        if inflater is not None:
            try:
                block = inflater.decompress(packed, BLOCK_BYTES)
            except zlib.error as error:
                raise InputError(f"{path}: is damaged gzip data ({error}). Get a fresh copy.") from error
            # At most one block comes out at a time; packed bytes that are left over are taken next.
            packed = inflater.unconsumed_tail
            if inflater.eof:
                # The member is whole; what follows belongs to the next one.
                packed, inflater = inflater.unused_data, None
            if block:
                yield block
        packed = packed or file.read1(BLOCK_BYTES)
    if inflater is not None:
        raise InputError(f"{path}: the gzip data ends too early. Get a complete copy.")


def _unzstd(file: BufferedReader, path: Path) -> Generator[bytes, None, None]:
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    inflater = None
    packed = file.read1(_ZSTD_FEED)
    while packed:
        # A decompression object ends with its frame, so each frame has a new one.
        inflater = inflater or decompressor.decompressobj()
        try:
            block = inflater.decompress(packed)
        except zstandard.ZstdError as error:
            raise InputError(f"{path}: is damaged zstd data ({error}). Get a fresh copy.") from error
        rest = b""
        if inflater.eof:
            rest, inflater = inflater.unused_data, None
        if block:
            yield block
        packed = rest or file.read1(_ZSTD_FEED)
    if inflater is not None:
        raise InputError(f"{path}: the zstd data ends too early. Get a complete copy.")
