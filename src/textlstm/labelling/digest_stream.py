"""A binary stream that hashes what passes through it."""

import hashlib
import io
from typing import BinaryIO


class DigestStream(io.RawIOBase):
    """Writes on to another stream, which stays open when this one is closed."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write on to `stream`."""
        super().__init__()
        self._stream = stream
        self._digest = hashlib.sha256()
        self.num_bytes = 0

    def writable(self) -> bool:
        """Say that it is for writing."""
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]
        """Write, hash and count `content`."""
        self._stream.write(content)
        self._digest.update(content)
        size = memoryview(content).nbytes
        self.num_bytes += size
        return size

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self.num_bytes

    @property
    def sha256(self) -> str:
        """sha256 (hex) of everything written so far."""
        return self._digest.hexdigest()
