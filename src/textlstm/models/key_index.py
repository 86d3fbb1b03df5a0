"""Where integer keys stand in a table: a hash table made of arrays, several times faster than binary search."""

import numpy as np

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: Fibonacci hashing
_EMPTY = -1


class KeyIndex:
    """An immutable set of distinct int64 keys, each with its place in `keys`."""

    def __init__(self, keys: np.ndarray) -> None:
        """Index (N,) int64 `keys`."""
        self.keys = keys
        num_bits = max(int(2 * len(keys)).bit_length(), 1)
        self._shift = np.uint64(64 - num_bits)
        self._mask = 2**num_bits - 1
        self._slots = np.full(2**num_bits, _EMPTY, dtype=np.int32)
        pending = np.arange(len(keys), dtype=np.int32)
        slots = self._first_slots(keys)
        while len(pending):  # all keys try one slot a round; of those that want the same free one, one gets it
            free = self._slots[slots] == _EMPTY
            self._slots[slots[free]] = pending[free]
            left = self._slots[slots] != pending
            pending, slots = pending[left], (slots[left] + 1) & self._mask

    def places(self, wanted: np.ndarray) -> np.ndarray:
        """Return (M,) int64: where each of the (M,) int64 keys stands, -1 if it is none of them."""
        found = np.full(len(wanted), -1, dtype=np.int64)
        searching = np.arange(len(wanted))
        slots = self._first_slots(wanted)
        while len(searching):
            candidates = self._slots[slots]
            occupied = candidates != _EMPTY
            searching, slots, candidates = searching[occupied], slots[occupied], candidates[occupied]
            equal = self.keys[candidates] == wanted[searching]
            found[searching[equal]] = candidates[equal]
            searching, slots = searching[~equal], (slots[~equal] + 1) & self._mask
        return found

    def _first_slots(self, keys: np.ndarray) -> np.ndarray:
        slots: np.ndarray = ((keys.astype(np.uint64) * _MULTIPLIER) >> self._shift).astype(np.int64)
        return slots
