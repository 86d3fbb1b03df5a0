"""One file of rows made of lines (CSV, TSV, JSONL, text), opened for reading from its start or from a known row."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from textlstm.corpus.files.content import HEAD_BYTES, content_problem, packed_problem
from textlstm.corpus.files.encodings import encoding_name, keeps_ascii
from textlstm.corpus.files.formats import STDIN, Compression, FileKind
from textlstm.corpus.files.lines import Line, read_lines, to_utf8
from textlstm.corpus.files.read_settings import ReadSettings
from textlstm.corpus.files.streams import FileState, read_blocks
from textlstm.errors import InputError


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
        return keeps_ascii(encoding_name(self.settings.encoding, key_prefix=self.settings.key_prefix))

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
        blocks = read_blocks(
            self.path,
            compression=self.kind.compression,
            max_expansion=self.settings.max_expansion,
            start=start,
        )
        with closing(blocks):
            checked = self._checked(blocks) if start == 0 else blocks
            yield read_lines(checked, name=self.name, offset=start)

    def _checked(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        settings = self.settings
        encoding = encoding_name(settings.encoding, key_prefix=settings.key_prefix)
        if self.kind.compression is not Compression.none and self.is_regular:
            with closing(read_blocks(self.path)) as raw:
                self._check_packing(next(raw, b""))
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
        whole: Iterator[bytes] = chain((head,), blocks)
        if not self.has_offsets:
            whole = to_utf8(whole, encoding=encoding, name=self.name, key_prefix=settings.key_prefix)
        yield from whole

    def _check_packing(self, head: bytes) -> None:
        problem = packed_problem(head, compression=self.kind.compression, name=self.name)
        if problem:
            raise InputError(problem)
