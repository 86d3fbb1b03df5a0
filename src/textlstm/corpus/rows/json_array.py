"""A file that is one JSON array, as Label Studio and pandas write it: each of its elements is a row.

The elements are cut apart by their brackets, without parsing them, and come out as the lines of a JSONL file: a broken
element is a row that cannot be used, and the others are read.
"""

import re
from collections.abc import Iterable, Iterator

from textlstm.errors import InputError

_STRUCTURE = re.compile(rb'["\[\]{},]')
_IN_STRING = re.compile(rb'["\\]')
_OPENING = b"[{"


def is_json_array(head: bytes) -> bool:
    """Return whether a file of JSON rows that begins with `head` is one array of rows."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def lines_of_array(blocks: Iterable[bytes], *, name: str, max_bytes: int) -> Iterator[bytes]:
    """Yield each element of the array in `blocks` as one line of JSON with its line feed.

    Example: `[{"a": 1},` LF `{"a": [2, 3]}]` gives `{"a": 1}` LF and `{"a": [2, 3]}` LF.

    Raises:
        InputError: the array is never closed, something follows it, or an element is longer than `max_bytes`.
    """
    cutter = _Cutter(name)
    for block in blocks:
        yield from cutter.cut(block)
        # Checked after each block: an element may be a block too long before it is refused.
        if cutter.size > max_bytes:
            raise InputError(
                f"{name}: element {cutter.number + 1} of the JSON array is longer than {max_bytes >> 20} MiB."
            )
    if not cutter.is_closed:
        raise InputError(f"{name}: the JSON array is never closed; is the file whole?")


class _Cutter:
    """Goes through the bytes of an array once and cuts them at the commas of its first level."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.depth = 0
        """Brackets that are open; 1 between the elements."""
        self.number = 0
        """Elements so far."""
        self.is_closed = False
        self._in_string = False
        self._skips_one = False
        """Whether the last block ended in a backslash, whose partner comes next."""
        self._parts: list[bytes] = []

    @property
    def size(self) -> int:
        """Bytes of the element that is not complete yet."""
        return sum(map(len, self._parts))

    def cut(self, block: bytes) -> Iterator[bytes]:
        """Yield the elements that end in `block`."""
        start, place = 0, int(self._skips_one)
        self._skips_one = False
        # In a string only quotes and backslashes count; outside, quotes, brackets and commas.
        while match := (_IN_STRING if self._in_string else _STRUCTURE).search(block, place):
            place, character = match.end(), match[0]
            if character == b"\\":
                # The byte after a backslash is passed over; it may be the first of the next block.
                self._skips_one = place == len(block)
                place += 1
            elif character == b'"':
                self._in_string = not self._in_string
            elif character in (b"[", b"{"):
                self.depth += 1
                if self.depth == 1:  # the bracket of the array itself: what stands before it is no element
                    start, self._parts = place, []
            elif character != b",":
                # A closing bracket; square ones and braces are not told apart.
                self.depth -= 1
            # A comma of the first level ends an element, and so does the bracket that closes the array.
            ends_array = self.depth == 0 and not self.is_closed
            if ends_array or (self.depth == 1 and character == b","):
                self._parts.append(block[start : place - 1])
                start = place
                self.is_closed = ends_array
                yield from self._line(is_last=ends_array)
        # The rest of the block begins an element, which a later block ends.
        self._parts.append(block[start:])
        if self.is_closed:
            if b"".join(self._parts).strip():
                raise InputError(
                    f"{self._name}: something follows the JSON array. Write one object a line, as with `jq -c`."
                )
            self._parts = []

    def _line(self, *, is_last: bool) -> Iterator[bytes]:
        """Yield the element that is complete; `[]` has no element, and nothing between two commas is a broken one."""
        element = b"".join(self._parts).strip()
        self._parts = []
        if element or self.number or not is_last:
            self.number += 1
            # Line feeds are white space between the parts of an element; in strings they are escaped.
            yield (element or b",").replace(b"\r", b" ").replace(b"\n", b" ") + b"\n"
