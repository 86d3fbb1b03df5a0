"""Messages between processes: a frame is its length (8 bytes, little endian), its kind (1 byte) and its body."""

import os
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

_HEADER = struct.Struct("<Qc")
_READ_BYTES = 1 << 20


class Kind(StrEnum):
    """Kinds of frames."""

    ready = "D"
    started = "S"
    """Process ids of the workers, in JSON."""
    ended = "X"
    """Number and exit code of a worker, in JSON."""
    block = "B"
    result = "R"
    error = "E"
    alive = "A"


class Frame(NamedTuple):
    """One message."""

    kind: Kind
    body: bytes


@dataclass(slots=True)
class FrameReader:
    """Cuts a stream of bytes into frames."""

    _buffer: bytearray

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that `data` completes."""
        self._buffer += data
        # A frame may come in several reads, and a read may hold several frames.
        while len(self._buffer) >= _HEADER.size:
            length, kind = _HEADER.unpack_from(self._buffer)
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield Frame(Kind(kind.decode()), body)


def pack(kind: Kind, body: bytes = b"") -> bytes:
    """Return the bytes of one frame."""
    return _HEADER.pack(len(body), kind.value.encode()) + body


class FrameInput:
    """Frames from a descriptor, read as they come."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.last_heard = time.monotonic()
        self.has_been_heard = False
        self._reader = FrameReader()

    def receive(self) -> Iterator[Frame]:
        """Yield the frames that have come in.

        Raises:
            EOFError: The other side has ended.
        """
        while True:
            try:
                data = os.read(self.descriptor, _READ_BYTES)
            except BlockingIOError:
                return
            # An empty read means that all ends for writing are closed.
            if not data:
                raise EOFError
            self.last_heard, self.has_been_heard = time.monotonic(), True
            yield from self._reader.feed(data)
