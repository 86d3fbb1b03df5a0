"""Lines of a byte stream, each with its exact byte offset; cut at line feeds only."""

import codecs
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from textlstm.errors import InputError

MAX_ROW_BYTES = 1 << 26
"""A longer row refuses the file: memory is bounded."""
BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """One line without its line feed; a carriage return before it is kept."""

    offset: int
    data: bytes


def read_lines(blocks: Iterable[bytes], *, name: str, offset: int = 0) -> Iterator[Line]:
    """Yield the lines of `blocks`, of which the first byte is at `offset`; a BOM at offset 0 is stripped.

    A final line feed ends the last line, it does not begin another: `a` LF `b` LF and `a` LF `b` both have two lines.

    Raises:
        InputError: a line is longer than MAX_ROW_BYTES.
    """
    parts: list[bytes] = []
    parts_size = 0
    at_start = offset == 0
    for block in blocks:
        first, feed, rest = block.partition(b"\n")
        if at_start and first.startswith(BOM):
            first, offset = first[len(BOM) :], len(BOM)
        at_start = False
        parts.append(first)
        parts_size += len(first)
        if parts_size > MAX_ROW_BYTES:
            raise InputError(f"{name}: the line at byte {offset:,} is longer than {MAX_ROW_BYTES >> 20} MiB.")
        if not feed:
            continue
        yield Line(offset, b"".join(parts))
        offset += parts_size + 1
        lines = rest.split(b"\n")
        last = lines.pop()
        for data in lines:
            yield Line(offset, data)
            offset += len(data) + 1
        parts, parts_size = [last], len(last)
    if parts_size:
        yield Line(offset, b"".join(parts))


def to_utf8(blocks: Iterable[bytes], *, encoding: str, name: str, key_prefix: str) -> Iterator[bytes]:
    """Yield `blocks` of an encoding that cannot be cut at line feeds, such as UTF-16, as UTF-8.

    Raises:
        InputError: the bytes are not text of that encoding.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for block in blocks:
            yield decoder.decode(block).encode("utf-8")
        yield decoder.decode(b"", final=True).encode("utf-8")
    except UnicodeError as error:
        reason = error.reason if isinstance(error, UnicodeDecodeError) else "it decodes to a lone surrogate"
        raise InputError(f"{name}: is not {encoding} text ({reason}). Set {key_prefix}.encoding.") from None
