"""64-bit hashes of many strings at once, in numpy, equal in every process."""

import hashlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Hashes = npt.NDArray[np.uint64]

_BASE = 0x9E3779B97F4A7C15
"""Odd, so that it has an inverse modulo 2^64."""
_INVERSE = pow(_BASE, -1, 2**64)


def mix(values: Hashes) -> Hashes:
    """Return a one-to-one mix of each 64-bit value (the finalizer of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class StringBytes(NamedTuple):
    """UTF-8 bytes of N strings, one after another; string i has data[offsets[i]:offsets[i + 1]]."""

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]


def string_bytes(strings: pa.StringArray) -> StringBytes:
    """Return the bytes of strings without nulls as Arrow holds them, without a copy."""
    if not len(strings):
        return StringBytes(np.zeros(0, np.uint8), np.zeros(1, np.int64))
    _, offset_buffer, data_buffer = strings.buffers()
    offsets = np.frombuffer(offset_buffer, np.int32)[strings.offset : strings.offset + len(strings) + 1].astype(
        np.int64
    )
    first, last = int(offsets[0]), int(offsets[-1])
    data = np.frombuffer(data_buffer, np.uint8)[first:last] if last > first else np.zeros(0, np.uint8)
    return StringBytes(data, offsets - first)


def hash_strings(strings: pa.StringArray) -> Hashes:
    """Return a (N,) uint64 hash of the UTF-8 bytes of each of N strings.

    The hash of bytes b is the polynomial sum of (b[i] + 1) * BASE^i modulo 2^64, mixed. Sums over all strings at once
    are differences of one running sum, divided by the power at which a string starts.
    """
    data, offsets = string_bytes(strings)
    starts, ends = offsets[:-1], offsets[1:]
    running = np.zeros(len(data) + 1, np.uint64)
    np.cumsum((data.astype(np.uint64) + np.uint64(1)) * _powers(_BASE, len(data)), out=running[1:])
    return mix((running[ends] - running[starts]) * _powers(_INVERSE, len(data) + 1)[starts])


def _powers(base: int, length: int) -> Hashes:
    """Return base^0, base^1, ... modulo 2^64."""
    powers = np.full(max(length, 1), base, np.uint64)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint64)[:length]


# Where integer keys stand in a table: a hash table made of arrays, several times faster than binary search.

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


def content_hash(text: str) -> int:
    """Return the first 64 bits of sha256 of the text's words, joined by single spaces.

    Texts with equal hashes count as equal, so white space makes no difference. Among a million different texts a false
    pair has a chance of 3e-8.
    """
    words = " ".join(text.split())
    return int.from_bytes(hashlib.sha256(words.encode("utf-8", "surrogatepass")).digest()[:8], "big")
