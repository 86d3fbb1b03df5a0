"""Strings as plain arrays, so that they can live in a safetensors file: UTF-8 bytes and where each string starts."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np


class PackedStrings(NamedTuple):
    """N strings one after another."""

    data: np.ndarray
    """(bytes,) uint8."""
    offsets: np.ndarray
    """(N + 1,) int64; string i is `data[offsets[i]:offsets[i+1]]`."""


def pack_strings(strings: Sequence[str]) -> PackedStrings:
    """Return the bytes of `strings`; ["ab", "", "c"] has offsets [0, 2, 2, 3]."""
    encoded = [string.encode("utf-8", "surrogatepass") for string in strings]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(part) for part in encoded], out=offsets[1:])
    return PackedStrings(np.frombuffer(b"".join(encoded), dtype=np.uint8).copy(), offsets)


def unpack_strings(data: np.ndarray, offsets: np.ndarray) -> list[str]:
    """Return the strings that `pack_strings` packed."""
    whole = data.tobytes()
    ends = offsets.tolist()
    return [whole[start:end].decode("utf-8", "surrogatepass") for start, end in pairwise(ends)]
