"""Strings as plain arrays, so that they can live in a safetensors file: UTF-8 bytes and where each string starts."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, Self, overload

import numpy as np
from numpy.typing import NDArray


class PackedStrings(NamedTuple):
    """N strings one after another."""

    data: np.ndarray
    """(bytes,) uint8."""
    offsets: np.ndarray
    """(N + 1,) int64; string i is `data[offsets[i]:offsets[i+1]]`."""


def pack_strings(strings: Sequence[str]) -> PackedStrings:
    """Return the bytes of `strings`; ["ab", "", "c"] has offsets [0, 2, 2, 3]."""
    # With surrogatepass, lone surrogates in a token survive the round trip.
    encoded = [string.encode("utf-8", "surrogatepass") for string in strings]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(part) for part in encoded], out=offsets[1:])
    # np.frombuffer of bytes is read-only; the copy can be written to.
    return PackedStrings(np.frombuffer(b"".join(encoded), dtype=np.uint8).copy(), offsets)


def unpack_strings(data: np.ndarray, offsets: np.ndarray) -> list[str]:
    """Return the strings that `pack_strings` packed."""
    whole = data.tobytes()
    ends = offsets.tolist()
    return [whole[start:end].decode("utf-8", "surrogatepass") for start, end in pairwise(ends)]


# Many tokens, of which few are distinct: each distinct one once, and numbers.


class Numbering(dict[str, int]):
    """Strings by the order of their first occurrence: each new one gets the next number.

    >>> Numbering().of(["b", "a", "b"]).tolist()
    [0, 1, 0]
    """

    def __missing__(self, string: str) -> int:
        """Give `string` the next number."""
        self[string] = number = len(self)
        return number

    def of(self, strings: Iterable[str]) -> NDArray[np.int32]:
        """Return the (M,) numbers of `strings`."""
        # No Python code runs for a string that was met before.
        return np.fromiter(map(self.__getitem__, strings), np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class TokenColumn(Sequence[str]):
    """A sequence of M tokens, equal to any sequence of the same tokens."""

    distinct: Sequence[str]
    """What the numbers stand for. It may hold more than is used, a token twice, and may grow at its end."""
    numbers: NDArray[np.int32]
    """(M,) int32 places in `distinct`."""

    @classmethod
    def of(cls, tokens: Iterable[str]) -> Self:
        """Return the column of `tokens`."""
        places = Numbering()
        numbers = places.of(tokens)
        return cls(list(places), numbers)

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self.numbers)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        """Return one token, or a list of some."""
        if isinstance(place, slice):
            return [self.distinct[number] for number in self.numbers[place].tolist()]
        return self.distinct[int(self.numbers[place])]

    def __iter__(self) -> Iterator[str]:
        """Yield the tokens."""
        return map(self.distinct.__getitem__, self.numbers.tolist())

    def __eq__(self, other: object) -> bool:
        """Say whether `other` is a sequence of the same tokens."""
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(str.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]

    def compact(self) -> Self:
        """Return the same tokens without distinct ones that are not used."""
        used, numbers = self.used()
        return type(self)([self.distinct[number] for number in used.tolist()], numbers)

    def each(self, function: Callable[[Sequence[str]], NDArray[Any]]) -> NDArray[Any]:
        """Return (M, ...) what `function` gives for each token; it is called once, with the distinct ones."""
        column = self.compact()
        return function(column.distinct)[column.numbers]

    def used(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return the places of the distinct tokens that are used, and the numbers of all tokens among them."""
        # Few tokens among many distinct ones, as of one text after many: sorting costs less than a flag for all.
        if len(self.numbers) * 32 < len(self.distinct):
            few, numbers = np.unique(self.numbers, return_inverse=True)
            return few.astype(np.int64), numbers.astype(np.int32)
        # `places` is first a flag for each distinct token, then its number among the used ones.
        places = np.zeros(len(self.distinct), np.int32)
        places[self.numbers] = 1
        used = np.flatnonzero(places)
        places[used] = np.arange(len(used))
        return used, places[self.numbers]
