"""Bytes of input files: blocks of any size give the same lines; faults of reading end with their exit code."""

import gzip
import io
import os
import subprocess
import sys
import threading
import tracemalloc
import zlib
from pathlib import Path

import pytest

from textlstm.corpus.rows import streams
from textlstm.corpus.rows.lines import Line, read_lines
from textlstm.corpus.rows.readers import read_records
from textlstm.corpus.rows.records import Record
from textlstm.corpus.rows.settings import Compression, ReadSettings
from textlstm.errors import InputError, StorageError


@pytest.mark.parametrize("content", [b"", b"\n", b"a", b"a\nb\n\nc", b"\xef\xbb\xbfa\r\n\n\xef\xbb\xbfb\n", b"\n\n\n"])
def test_lines_do_not_depend_on_blocks(content: bytes) -> None:
    start = 3 if content.startswith(b"\xef\xbb\xbf") else 0
    expected = []
    offset = start
    for data in content[start:].split(b"\n"):
        expected.append(Line(offset, data))
        offset += len(data) + 1
    if not expected[-1].data:
        expected.pop()
    for size in (3, 4, 5, 100):
        blocks = [content[place : place + size] for place in range(0, len(content), size)]
        assert list(read_lines(blocks, name="x")) == expected


def test_line_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textlstm.corpus.rows.lines.MAX_ROW_BYTES", 1 << 20)
    blocks = [b"short\n", *[b"x" * 65536] * 20]
    with pytest.raises(InputError) as caught:
        list(read_lines(blocks, name="x.txt"))
    assert caught.value.problems == ("x.txt: the line at byte 6 is longer than 1 MiB.",)


@pytest.mark.parametrize("start", [0, 1, 5_000, 2_500_000])
@pytest.mark.parametrize("compression", list(Compression))
def test_blocks_begin_at_the_unpacked_byte(tmp_path: Path, compression: Compression, start: int) -> None:
    import zstandard

    content = b"".join(b"%07d\n" % number for number in range(400_000))
    half = len(content) // 2
    path = tmp_path / "x"
    match compression:
        case Compression.none:
            path.write_bytes(content)
        case Compression.gzip:  # two members, padded
            path.write_bytes(gzip.compress(content[:half]) + gzip.compress(content[half:]) + b"\0" * 512)
        case Compression.zstd:  # two frames
            pack = zstandard.ZstdCompressor().compress
            path.write_bytes(pack(content[:half]) + pack(content[half:]))
    found = b"".join(streams.read_blocks(path, compression=compression, start=start))
    assert found == content[start:]


def test_damaged_gzip_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    packed = bytearray(gzip.compress(b"text\n" + b"abc\n" * 1000, mtime=0))
    packed[-8] ^= 1  # the checksum
    Path("x.csv.gz").write_bytes(packed)
    with pytest.raises(InputError) as caught:
        list(read_records(Path("x.csv.gz"), ReadSettings()))
    reason = "Error -3 while decompressing data: incorrect data check"
    assert caught.value.problems == (f"x.csv.gz: is damaged gzip data ({reason}). Get a fresh copy.",)


@pytest.mark.parametrize("compression", [Compression.gzip, Compression.zstd])
def test_bomb_is_unpacked_in_bounded_memory(tmp_path: Path, compression: Compression) -> None:
    import zstandard

    path = tmp_path / "x"
    if compression is Compression.gzip:
        packer = zlib.compressobj(9, wbits=31)
        path.write_bytes(b"".join([packer.compress(bytes(1 << 20)) for _ in range(200)]) + packer.flush())
    else:
        path.write_bytes(zstandard.ZstdCompressor().compress(bytes(200 << 20)))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="unpacks to more than 20 times its size"):
            for _ in streams.read_blocks(path, compression=compression, max_expansion=20):
                pass
        assert tracemalloc.get_traced_memory()[1] < 48 << 20
    finally:
        tracemalloc.stop()


class FailingFile(io.BytesIO):
    """Gives some bytes and then the error of a failing disk."""

    def read1(self, size: int | None = -1) -> bytes:
        if self.tell() > 0:
            raise OSError(5, "Input/output error")
        return super().read1(size)


def test_read_error_of_the_disk_is_exit_code_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.csv").write_bytes(b"text\na\n")
    assert len(list(read_records(Path("x.csv"), ReadSettings()))) == 1
    monkeypatch.setattr(streams, "_open", lambda _: FailingFile(b"text\na\n"))
    with pytest.raises(StorageError) as caught:
        list(read_records(Path("x.csv"), ReadSettings()))
    assert caught.value.problems == ("x.csv: could not be read: Input/output error.",)
    assert caught.value.exit_code == 4


def test_readers_hold_a_bounded_part_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    row = b"some text of a row that is long " * 60 + b",label\n"
    path.write_bytes(b"text,label\n" + row * 10_000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_records(path, ReadSettings())) == 10_000
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.txt", "x.csv.gz"])
def test_pipes_are_read_as_they_come_and_once(tmp_path: Path, name: str) -> None:
    content = b'{"text": "a"}\n{"text": "b"}\n' if "jsonl" in name else b"text\na\nb\n"
    content = content.removeprefix(b"text\n") if name == "x.txt" else content
    content = gzip.compress(content) if name.endswith("gz") else content
    path = tmp_path / name
    os.mkfifo(path)

    def write() -> None:
        with path.open("wb", buffering=0) as pipe:
            for byte in content:
                pipe.write(bytes([byte]))

    writer = threading.Thread(target=write)
    writer.start()
    rows = list(read_records(path, ReadSettings()))
    writer.join()
    assert [row.fields["text"] for row in rows if isinstance(row, Record)] == ["a", "b"]


def test_standard_input_is_read(tmp_path: Path) -> None:
    code = (
        "from textlstm.corpus.rows.readers import *; from textlstm.corpus.rows.settings import STDIN\n"
        "rows = read_records(STDIN, ReadSettings(format=FileFormat.csv))\n"
        "print([(row.file, row.number, row.offset, *row.fields.values()) for row in rows])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=b"text\na\nb\n",
        capture_output=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.decode().strip() == "[('-', 1, 5, 'a'), ('-', 2, 7, 'b')]"


def test_standard_input_needs_a_format() -> None:
    with pytest.raises(InputError) as caught:
        list(read_records(Path("-"), ReadSettings(key_prefix="labelling")))
    assert caught.value.problems == ("-: standard input has no name to tell its format. Set labelling.format.",)
