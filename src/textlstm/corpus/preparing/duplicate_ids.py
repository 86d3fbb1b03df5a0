"""Finds ids that occur more than once, in 8 bytes a row."""

from array import array
from hashlib import blake2b

import numpy as np

_NUM_EXAMPLES = 10


class DuplicateIds:
    """Keeps a 64-bit hash of every id; two different ids of 10 million share one with probability 3e-6."""

    def __init__(self) -> None:
        self._hashes = array("Q")
        self._places: list[tuple[int, str, int]] = []
        self._next_number = 0

    def add(self, row_id: str, *, file: str, number: int) -> None:
        """Note the id of row `number` of `file`; rows come file by file."""
        index = len(self._hashes)
        if not self._places or self._places[-1][1] != file or number != self._next_number:
            self._places.append((index, file, number))
        self._next_number = number + 1
        self._hashes.append(int.from_bytes(blake2b(row_id.encode("utf-8"), digest_size=8).digest(), "little"))

    def problems(self, column: str) -> list[str]:
        """Return one line for each of the first rows whose id, in `column`, an earlier row has; ids are not shown."""
        hashes = np.frombuffer(self._hashes, dtype=np.uint64)
        _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        earlier = first[inverse]
        again = np.flatnonzero(earlier != np.arange(len(hashes)))
        problems = [
            f"{self._where(int(index))}: column {column!r}: the id is that of {self._where(int(earlier[index]))} too. "
            "Make ids unique, or set data.id_column to another column."
            for index in again[:_NUM_EXAMPLES]
        ]
        if len(again) > _NUM_EXAMPLES:
            problems.append(f"{self._where(int(again[-1]))}: and {len(again) - _NUM_EXAMPLES:,} more ids occur again.")
        return problems

    def _where(self, index: int) -> str:
        low, high = 0, len(self._places)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._places[middle][0] <= index else (low, middle)
        start, file, number = self._places[low]
        return f"{file}:{number + index - start}"
