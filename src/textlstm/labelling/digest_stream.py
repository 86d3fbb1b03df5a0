"""A binary stream that hashes what passes through it."""

import hashlib
import io
from typing import BinaryIO

_WAITING_BYTES = 2**18


class DigestStream(io.RawIOBase):
    """Writes on to another stream, which stays open when this one is closed.

    Lines of a row each would take longer to pass on than to make, so they wait for one another; `flush` passes all on.
    """

    def __init__(self, stream: BinaryIO) -> None:
        """Write on to `stream`."""
        super().__init__()
        self._stream = stream
        self._digest = hashlib.sha256()
        self._waiting: list[bytes] = []
        self._num_waiting = 0
        self.num_bytes = 0

    def writable(self) -> bool:
        """Say that it is for writing."""
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]
        """Write, hash and count `content`."""
        self._waiting.append(bytes(content))  # a copy only of what may change, such as a memoryview
        size = len(self._waiting[-1])
        self._num_waiting += size
        self.num_bytes += size
        if self._num_waiting >= _WAITING_BYTES:
            self.flush()
        return size

    def flush(self) -> None:
        """Pass on and hash what waits, if anything does."""
        if not self._waiting:
            return
        content = b"".join(self._waiting)
        self._waiting, self._num_waiting = [], 0
        self._digest.update(content)
        self._stream.write(content)

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self.num_bytes

    @property
    def sha256(self) -> str:
        """sha256 (hex) of everything written so far."""
        self.flush()
        return self._digest.hexdigest()
