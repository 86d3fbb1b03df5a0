"""What the first bytes of a file give away: archives, web pages, other encodings, other delimiters."""

import re

from textlstm.config import FileFormat
from textlstm.corpus.files.formats import Compression

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
    if b"\n" not in head and b"\r" in head[:-1] and encoding == "utf-8":
        return f"{name}: its lines end in bare carriage returns. Convert them to line feeds."
    return None


def delimiter_problem(header: str, *, delimiter: str, num_columns: int, name: str, key_prefix: str) -> str | None:
    """Return why a header of one column looks like another delimiter, or None."""
    if num_columns > 1:
        return None
    for other, what, remedy in (
        ("\t", "tabs", f"Set {key_prefix}.format=tsv."),
        (",", "commas", f"Set {key_prefix}.format=csv."),
        (";", "semicolons", "Write it with commas or as JSONL."),
        ("|", "vertical bars", "Write it with commas or as JSONL."),
    ):
        if other != delimiter and other in header:
            mine = "tab" if delimiter == "\t" else "comma"
            return f"{name}: the header has no {mine} but {what}; is that the delimiter? {remedy}"
    return None


def _archive_problem(head: bytes, name: str, key_prefix: str) -> str | None:
    if head.startswith(_ZIP):
        return f"{name}: is a zip archive (or an Excel workbook), which is never unpacked. Give the files inside it."
    if head[257:262] == b"ustar":
        return f"{name}: is a tar archive, which is never unpacked. Give the files inside it."
    if head.startswith(b"PAR1"):
        return f"{name}: is a Parquet file. Rename it to end in .parquet or set {key_prefix}.format=parquet."
    return None


def _json_problem(head: bytes, name: str) -> str | None:
    if head.startswith(b"["):
        return f"{name}: is one JSON array, not JSONL. Write one object a line, as with `jq -c '.[]'`."
    if head.split(b"\n", 1)[0].strip() == b"{":
        return f"{name}: is indented JSON, not JSONL. Write one object a line, as with `jq -c .`."
    return None


def _wide_encoding(head: bytes) -> str | None:
    if head.startswith(_UTF32_BOMS):
        return "utf-32"
    if head.startswith(_UTF16_BOMS):
        return "utf-16"
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
