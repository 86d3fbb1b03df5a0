"""Files as memory, for arrays that grow with the rows of a corpus."""

import mmap
from pathlib import Path


class MappedFile:
    """The bytes of a file that is not empty: read when they are looked at, and out of memory again after `release`.

    Whoever changes them changes this process's copy, until `release` brings the file's bytes back.
    """

    def __init__(self, path: Path) -> None:
        """Map the file, which may be removed from then on; raises OSError."""
        self.path = path
        with path.open("rb") as stream:
            # A private copy and not a read-only view, since torch takes no arrays that cannot be written to.
            self.bytes = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)

    def release(self) -> None:
        """Give back the memory of all that has been looked at; arrays in the file stay valid."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self.bytes.madvise(mmap.MADV_DONTNEED)

    def __reduce__(self) -> tuple[type["MappedFile"], tuple[Path]]:
        """Let another process map the file anew."""
        return MappedFile, (self.path,)
