"""Lines of a byte stream, each with its exact byte offset; cut at line feeds only."""

import codecs
import re
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from textlstm.config import FileFormat
from textlstm.corpus.rows.json_array import is_json_array, lines_of_array
from textlstm.corpus.rows.settings import STDIN, Compression, FileKind, ReadSettings, encoding_name, keeps_ascii
from textlstm.corpus.rows.streams import FileState, read_blocks
from textlstm.errors import InputError

# What the first bytes of a file tell: archives, web pages, other encodings.

HEAD_BYTES = 4096
"""How much of a file is looked at."""

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_HTML = re.compile(rb"\s*(?:<!--.*?-->\s*)?<(?:!doctype html|html|head|body|\?xml)", re.IGNORECASE | re.DOTALL)
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_UTF32_BOMS = (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")


def packed_problem(head: bytes, *, compression: Compression, name: str) -> str | None:
    """Return why the raw first bytes do not fit the file's name, or None."""
    expected = {Compression.none: None, Compression.gzip: _GZIP, Compression.zstd: _ZSTD}[compression]
    if expected is not None:
        return None if head.startswith(expected) else f"{name}: is not {compression} data although its name says so."
    if head.startswith(_GZIP):
        return f"{name}: is gzip data. Rename it to end in .gz."
    if head.startswith(_ZSTD):
        return f"{name}: is zstd data. Rename it to end in .zst."
    return None


def content_problem(head: bytes, *, format: FileFormat, encoding: str, name: str, key_prefix: str) -> str | None:
    """Return why the unpacked first bytes cannot be rows of `format`, or None."""
    if archive := _archive_problem(head, name, key_prefix):
        return archive
    wide = _wide_encoding(head)
    if wide and encoding == "utf-8":
        return f"{name}: looks like {wide.upper()} text. Set {key_prefix}.encoding={wide}."
    if format is not FileFormat.text and _HTML.match(head):
        return f"{name}: is an HTML or XML page, not {format}. Was a login or error page downloaded?"
    if format is FileFormat.jsonl:
        return _json_problem(head.removeprefix(b"\xef\xbb\xbf").lstrip(), name)
    # A carriage return at the very end may be half of CR LF, so it does not count.
    if b"\n" not in head and b"\r" in head[:-1] and encoding == "utf-8":
        return f"{name}: its lines end in bare carriage returns. Convert them to line feeds."
    return None


def _archive_problem(head: bytes, name: str, key_prefix: str) -> str | None:
    if head.startswith(_ZIP):
        return f"{name}: is a zip archive (or an Excel workbook), which is never unpacked. Give the files inside it."
    # A tar archive has its magic word at byte 257.
    if head[257:262] == b"ustar":
        return f"{name}: is a tar archive, which is never unpacked. Give the files inside it."
    if head.startswith(b"PAR1"):
        return f"{name}: is a Parquet file. Rename it to end in .parquet or set {key_prefix}.format=parquet."
    return None


def _json_problem(head: bytes, name: str) -> str | None:
    if head.split(b"\n", 1)[0].strip() == b"{":
        return f"{name}: is indented JSON, not JSONL. Write one object a line, as with `jq -c .`."
    return None


def _wide_encoding(head: bytes) -> str | None:
    # UTF-32 first: its little-endian BOM begins with that of UTF-16.
    if head.startswith(_UTF32_BOMS):
        return "utf-32"
    if head.startswith(_UTF16_BOMS):
        return "utf-16"
    # Without a BOM: mostly Latin text in UTF-16 has NUL as every second byte, on one side only.
    sample = head[: len(head) // 2 * 2]
    if len(sample) < 8:
        return None
    even, odd = sample[0::2], sample[1::2]
    limit = len(even) * 0.3
    if odd.count(0) > limit and even.count(0) == 0:
        return "utf-16-le"
    if even.count(0) > limit and odd.count(0) == 0:
        return "utf-16-be"
    return None


MAX_ROW_BYTES = 1 << 26
"""A longer row refuses the file: memory is bounded."""
BOM = b"\xef\xbb\xbf"
_LEAST_BLOCK_BYTES = 1 << 18
"""Lines are given out together from this many bytes on."""


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
    # `parts` is the beginning of a line that no block has ended so far, and `offset` is where that line begins.
    parts: list[bytes] = []
    parts_size = 0
    at_start = offset == 0
    for block in blocks:
        first, feed, rest = block.partition(b"\n")
        # The BOM is not part of the first line, but offsets count it: they are those of the file.
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
        # The whole lines of the block at once; its last piece may go on in the next block.
        lines = rest.split(b"\n")
        last = lines.pop()
        for data in lines:
            yield Line(offset, data)
            offset += len(data) + 1
        parts, parts_size = [last], len(last)
    if parts_size:
        yield Line(offset, b"".join(parts))


class LineBlock(NamedTuple):
    """Whole lines, each with its line feed; only the last line of a file may have none."""

    offset: int
    data: bytes


def read_line_blocks(blocks: Iterable[bytes], *, name: str, offset: int = 0) -> Iterator[LineBlock]:
    """Yield the lines of `read_lines` many at a time, not cut apart.

    Raises:
        InputError: as `read_lines`, after the whole lines before.
    """
    # `parts` is what no block given out holds so far; `tail_size` is how much of it follows the last line feed.
    parts: list[bytes] = []
    size = tail_size = 0
    at_start = offset == 0
    try:
        for block in blocks:
            piece = block
            if at_start and block.startswith(BOM):
                piece, offset = block[len(BOM) :], len(BOM)
            at_start = False
            feed = piece.find(b"\n")
            if tail_size + (feed if feed >= 0 else len(piece)) > MAX_ROW_BYTES:
                where = offset + size - tail_size
                raise InputError(f"{name}: the line at byte {where:,} is longer than {MAX_ROW_BYTES >> 20} MiB.")
            parts.append(piece)
            size += len(piece)
            tail_size = len(piece) - piece.rfind(b"\n") - 1 if feed >= 0 else tail_size + len(piece)
            # Small pieces, such as the elements of a JSON array, are gathered.
            if size >= _LEAST_BLOCK_BYTES and tail_size < size:
                data = b"".join(parts)
                whole, rest = data[: size - tail_size], data[size - tail_size :]
                yield LineBlock(offset, whole)
                offset += len(whole)
                parts, size = [rest], len(rest)
    except InputError:
        if tail_size < size:
            yield LineBlock(offset, b"".join(parts)[: size - tail_size])
        raise
    if size:
        yield LineBlock(offset, b"".join(parts))


def to_utf8(blocks: Iterable[bytes], *, encoding: str, name: str, key_prefix: str) -> Iterator[bytes]:
    """Yield `blocks` of an encoding that cannot be cut at line feeds, such as UTF-16, as UTF-8.

    Raises:
        InputError: the bytes are not text of that encoding.
    """
    # The decoder keeps half a character for the next block; the final call finds one that is never completed.
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for block in blocks:
            yield decoder.decode(block).encode("utf-8")
        yield decoder.decode(b"", final=True).encode("utf-8")
    except UnicodeError as error:
        reason = error.reason if isinstance(error, UnicodeDecodeError) else "it decodes to a lone surrogate"
        raise InputError(f"{name}: is not {encoding} text ({reason}). Set {key_prefix}.encoding.") from None


# One file of rows made of lines (CSV, TSV, JSONL, text), opened for reading from its start or from a known row.


@dataclass(slots=True)
class ReadCounts:
    """What a reader has met so far."""

    rows: int = 0
    """Records and rejects."""
    rejects: int = 0
    blank_lines: int = 0
    """Blank lines of JSONL files and of CSV files with several columns; they are no rows."""


class RowStart(NamedTuple):
    """Where a row begins: its number, and its byte offset in the unpacked file."""

    number: int
    offset: int


class RowRange(NamedTuple):
    """Rows `first` to `last`, both included, of a file."""

    first: int
    last: int
    start: RowStart | None = None
    """A known row at or before `first`, from which reading may begin."""
    state: FileState | None = None
    """What the file was when `start` was found; a file that has changed since is refused."""


@dataclass(frozen=True, slots=True)
class LineInput:
    """How to get at the lines of one file."""

    path: Path
    kind: FileKind
    settings: ReadSettings

    @property
    def name(self) -> str:
        """The file as messages name it."""
        return str(self.path)

    @property
    def encoding(self) -> str:
        """The encoding of the lines that `lines` yields."""
        own = encoding_name(self.settings.encoding, key_prefix=self.settings.key_prefix)
        return own if keeps_ascii(own) else "utf-8"

    @property
    def has_offsets(self) -> bool:
        """Whether byte offsets of lines are those of the unpacked file."""
        encoding = encoding_name(self.settings.encoding, key_prefix=self.settings.key_prefix)
        return keeps_ascii(encoding) and not self.is_array

    @property
    def is_array(self) -> bool:
        """Whether this is a file with one JSON array, told by its first byte; False for a pipe."""
        if self.kind.format is not FileFormat.jsonl or not self.is_regular:
            return False
        with closing(read_blocks(self.path, compression=self.kind.compression)) as blocks:
            return is_json_array(next(blocks, b""))

    @property
    def can_seek(self) -> bool:
        """Whether reading may begin at a byte offset without reading what comes before."""
        return self.has_offsets and self.kind.compression is Compression.none and self.is_regular

    @property
    def is_regular(self) -> bool:
        """Whether this is a file that can be opened more than once, no pipe."""
        return self.path != STDIN and self.path.is_file()

    @contextmanager
    def lines(self, start: int = 0) -> Iterator[Iterator[Line]]:
        """Open the file and give its lines from byte `start` on, after a check of the first bytes.

        Raises:
            InputError: the file is missing, packed otherwise than named, damaged, or visibly not of its format.
        """
        with self._blocks(start) as blocks:
            yield read_lines(blocks, name=self.name, offset=start)

    @contextmanager
    def line_blocks(self, start: int = 0) -> Iterator[Iterator[LineBlock]]:
        """Give the same lines many at a time.

        Raises:
            InputError: as `lines`.
        """
        with self._blocks(start) as blocks:
            yield read_line_blocks(blocks, name=self.name, offset=start)

    @contextmanager
    def _blocks(self, start: int) -> Iterator[Iterator[bytes]]:
        blocks = read_blocks(
            self.path,
            compression=self.kind.compression,
            max_expansion=self.settings.max_expansion,
            start=start,
        )
        with closing(blocks):
            yield self._checked(blocks) if start == 0 else blocks

    def _checked(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        settings = self.settings
        encoding = encoding_name(settings.encoding, key_prefix=settings.key_prefix)
        # The packed bytes show a wrong name of the file, so it is opened a second time; a pipe cannot be.
        if self.kind.compression is not Compression.none and self.is_regular:
            with closing(read_blocks(self.path)) as raw:
                self._check_packing(next(raw, b""))
        # The first line, or 4 KB of it, tells most wrong files before a row is read.
        head = b""
        while len(head) < HEAD_BYTES and b"\n" not in head and (block := next(blocks, b"")):
            head += block
        if self.kind.compression is Compression.none:
            self._check_packing(head)
        problem = content_problem(
            head[:HEAD_BYTES],
            format=self.kind.format,
            encoding=encoding,
            name=self.name,
            key_prefix=settings.key_prefix,
        )
        if problem:
            raise InputError(problem)
        # The bytes that were looked at go out as the first block.
        yield from self.plain(chain((head,), blocks))

    def plain(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the unpacked `blocks` of the file so that they can be cut at line feeds, in `encoding`.

        Raises:
            InputError: they are not text of the file's encoding, or no whole JSON array.
        """
        settings = self.settings
        encoding = encoding_name(settings.encoding, key_prefix=settings.key_prefix)
        # To UTF-8 first: brackets and line feeds of UTF-16 are not single bytes.
        if not keeps_ascii(encoding):
            blocks = to_utf8(blocks, encoding=encoding, name=self.name, key_prefix=settings.key_prefix)
        if self.kind.format is FileFormat.jsonl:
            first = next(blocks, b"")
            blocks = chain((first,), blocks)
            if is_json_array(first):
                blocks = lines_of_array(blocks, name=self.name, max_bytes=MAX_ROW_BYTES)
        yield from blocks

    def _check_packing(self, head: bytes) -> None:
        problem = packed_problem(head, compression=self.kind.compression, name=self.name)
        if problem:
            raise InputError(problem)
