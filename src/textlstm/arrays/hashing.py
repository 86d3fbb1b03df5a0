"""64-bit hashes of many strings at once, in numpy, equal in every process."""

import hashlib
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from textlstm.arrays.strings import PackedStrings

Hashes = npt.NDArray[np.uint64]

_BASE = 0x9E3779B97F4A7C15
"""Odd, so that it has an inverse modulo 2^64."""
_INVERSE = pow(_BASE, -1, 2**64)


def mix(values: Hashes) -> Hashes:
    """Return a one-to-one mix of each 64-bit value (the finalizer of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def string_bytes(strings: pa.StringArray) -> PackedStrings:
    """Return the bytes of N strings without nulls; `data` is Arrow's own memory, not a copy."""
    if not len(strings):
        return PackedStrings(np.zeros(0, np.uint8), np.zeros(1, np.int64))
    # A slice of an Arrow array keeps the buffers of the whole array: `strings.offset` says where the slice begins.
    _, offset_buffer, data_buffer = strings.buffers()
    offsets = np.frombuffer(offset_buffer, np.int32)[strings.offset : strings.offset + len(strings) + 1].astype(
        np.int64
    )
    first, last = int(offsets[0]), int(offsets[-1])
    data = np.frombuffer(data_buffer, np.uint8)[first:last] if last > first else np.zeros(0, np.uint8)
    return PackedStrings(data, offsets - first)


def hash_strings(strings: pa.StringArray) -> Hashes:
    """Return a (N,) uint64 hash of the UTF-8 bytes of each of N strings.

    The hash of bytes b is the sum of (b[i] + 1) * BASE^i modulo 2^64, mixed. The sum of one string is the difference of
    two values of one running sum, divided by the power of BASE at which the string starts.
    """
    data, offsets = string_bytes(strings)
    starts, ends = offsets[:-1], offsets[1:]
    # running[i] is the sum over the first i bytes of all strings together; uint64 wraps around modulo 2^64.
    running = np.zeros(len(data) + 1, np.uint64)
    np.cumsum((data.astype(np.uint64) + np.uint64(1)) * _powers(_BASE, len(data)), out=running[1:])
    # In the difference, a string that begins at byte s has the factor BASE^s too much: BASE^-s removes it.
    return mix((running[ends] - running[starts]) * _powers(_INVERSE, len(data) + 1)[starts])


def _powers(base: int, length: int) -> Hashes:
    """Return base^0, base^1, ... modulo 2^64."""
    powers = np.full(max(length, 1), base, np.uint64)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint64)[:length]


# A hash table made of arrays, several times faster than binary search.

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: Fibonacci hashing
_EMPTY = -1
_FEW = 256
"""Keys up to which binary search is faster."""


class KeyIndex:
    """A lookup from distinct int64 keys to their places in the array `keys`."""

    def __init__(self, keys: np.ndarray) -> None:
        """Index (N,) int64 `keys`."""
        self.keys = keys
        self._rise = bool((keys[1:] > keys[:-1]).all())
        # More than twice as many slots as keys, in a power of two, so at most half of the slots are occupied.
        num_bits = max(int(2 * len(keys)).bit_length(), 1)
        self._shift = np.uint64(64 - num_bits)
        self._mask = 2**num_bits - 1
        self._slots = np.full(2**num_bits, _EMPTY, dtype=np.int32)
        pending = np.arange(len(keys), dtype=np.int32)
        slots = self._first_slots(keys)
        # Open addressing in rounds: every pending key tries its next slot, and one of the keys that share a free slot
        # gets it.
        while len(pending):
            free = self._slots[slots] == _EMPTY
            self._slots[slots[free]] = pending[free]
            # Several keys may have written to one slot, and the last write stays: read back which keys have their
            # place.
            left = self._slots[slots] != pending
            pending, slots = pending[left], (slots[left] + 1) & self._mask

    def places(self, wanted: np.ndarray) -> np.ndarray:
        """Return (M,) int64 places of the (M,) int64 keys `wanted`, -1 for unknown keys."""
        # For the few keys of one text, binary search makes fewer calls of numpy.
        if self._rise and 0 < len(wanted) < _FEW and len(self.keys):
            nearest = np.minimum(self.keys.searchsorted(wanted), len(self.keys) - 1)
            return np.where(self.keys[nearest] == wanted, nearest, -1)
        found = np.full(len(wanted), -1, dtype=np.int64)
        searching = np.arange(len(wanted))
        slots = self._first_slots(wanted)
        # Follow the slots in the order of the insertion: a free slot on the way means that the key is unknown.
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


def content_hash(text: str) -> int:
    """Return the first 64 bits of sha256 of the text's words, joined by single spaces.

    Texts that differ in white space only have equal hashes. Among a million different texts, the probability of any
    two equal hashes is 3e-8.
    """
    words = " ".join(text.split())
    return int.from_bytes(hashlib.sha256(words.encode("utf-8", "surrogatepass")).digest()[:8], "big")


_SPACE = r"\x00-\x20\x7f\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
_SINGLE_SPACED = rf"\A[^{_SPACE}]+(?: [^{_SPACE}]+)*\z"
"""Texts that are their words joined by single spaces: no other character at which `str.split` cuts."""


def content_hashes(texts: pa.StringArray) -> Hashes:
    """Return the (N,) uint64 `content_hash` of each of N texts without nulls."""
    data, offsets = string_bytes(texts)
    view = data.data
    digests = [hashlib.sha256(view[start:end]).digest()[:8] for start, end in pairwise(offsets.tolist())]
    hashes = np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)
    # The bytes of most texts are those that `content_hash` digests.
    is_single = pc.match_substring_regex(texts, _SINGLE_SPACED).to_numpy(zero_copy_only=False)
    for place in np.flatnonzero(~is_single.astype(np.bool_)).tolist():
        hashes[place] = content_hash(texts[place].as_py())
    return hashes
