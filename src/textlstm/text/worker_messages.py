"""What passes between the main process and a preparation worker: plain bytes, no pickle.

A frame is its length (8 bytes, little endian), its kind (1 byte) and its body.
"""

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from textlstm.config import TextConfig
from textlstm.config.plain import from_plain
from textlstm.text.prepared import PreparedTexts
from textlstm.text.saved import SavedText, TextDescription
from textlstm.text.token_column import TokenColumn

_HEADER = struct.Struct("<Qc")
_COUNTS = struct.Struct("<QQQ?")


class Kind(StrEnum):
    """Kinds of frames."""

    ready = "D"
    started = "S"
    """Process ids of the workers, in JSON."""
    ended = "X"
    """Number and exit code of a worker, in JSON."""
    block = "B"
    result = "R"
    error = "E"
    alive = "A"


class Frame(NamedTuple):
    """One message."""

    kind: Kind
    body: bytes


@dataclass(slots=True)
class FrameReader:
    """Cuts a stream of bytes into frames."""

    _buffer: bytearray

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that `data` completes."""
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            length, kind = _HEADER.unpack_from(self._buffer)
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield Frame(Kind(kind.decode()), body)


def pack(kind: Kind, body: bytes = b"") -> bytes:
    """Return the bytes of one frame."""
    return _HEADER.pack(len(body), kind.value.encode()) + body


def encode_settings(config: TextConfig, saved: SavedText | None) -> bytes:
    """Return what a starter reads first."""
    return json.dumps({"config": asdict(config), "saved": None if saved is None else asdict(saved)}).encode()


class Settings(NamedTuple):
    """What a worker needs to build its pipeline."""

    config: TextConfig
    saved: SavedText | None


def decode_settings(body: bytes) -> Settings:
    """Return what `encode_settings` wrote."""
    values = json.loads(body)
    saved = None if values["saved"] is None else SavedText.from_mapping(values["saved"])
    return Settings(from_plain(TextConfig, values["config"]), saved)


def encode_ready(description: TextDescription) -> bytes:
    """Return the body of a ready frame."""
    return json.dumps({"saved": asdict(description.saved), "warnings": description.warnings}).encode()


def decode_ready(body: bytes) -> TextDescription:
    """Return what `encode_ready` wrote."""
    values = json.loads(body)
    return TextDescription(SavedText.from_mapping(values["saved"]), tuple(values["warnings"]))


class Block(NamedTuple):
    """Texts to prepare."""

    number: int
    texts: list[str]


def encode_block(number: int, texts: Sequence[str]) -> bytes:
    """Return the body of a block frame; lone surrogates survive."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    return b"".join([_COUNTS.pack(number, len(texts), 0, False), lengths.tobytes(), *encoded])


def decode_block(body: bytes) -> Block:
    """Return what `encode_block` wrote."""
    number, num_texts, _, _ = _COUNTS.unpack_from(body)
    lengths, start = _array(body, _COUNTS.size, np.int64, num_texts)
    texts = []
    for length in lengths.tolist():
        texts.append(body[start : start + length].decode("utf-8", "surrogatepass"))
        start += length
    return Block(number, texts)


class Result(NamedTuple):
    """A prepared block."""

    number: int
    prepared: PreparedTexts


def encode_result(number: int, prepared: PreparedTexts) -> bytes:
    """Return the body of a result frame: each distinct token once, and numbers."""
    column = prepared.tokens.compact()
    has_pos = prepared.pos is not None
    parts = [
        _COUNTS.pack(number, len(prepared), len(column), has_pos),
        prepared.offsets.astype(np.int64).tobytes(),
        prepared.num_removed.astype(np.int32).tobytes(),
        column.numbers.tobytes(),
        prepared.pos.tobytes() if prepared.pos is not None else b"",
        json.dumps(column.distinct).encode(),
    ]
    return b"".join(parts)


def decode_result(body: bytes) -> Result:
    """Return what `encode_result` wrote."""
    number, num_texts, num_tokens, has_pos = _COUNTS.unpack_from(body)
    offsets, start = _array(body, _COUNTS.size, np.int64, num_texts + 1)
    num_removed, start = _array(body, start, np.int32, num_texts)
    ids, start = _array(body, start, np.int32, num_tokens)
    pos, start = _array(body, start, np.uint8, num_tokens if has_pos else 0)
    distinct: list[str] = json.loads(body[start:])
    prepared = PreparedTexts(
        tokens=TokenColumn(distinct, ids),
        offsets=offsets,
        pos=pos if has_pos else None,
        num_removed=num_removed,
    )
    return Result(number, prepared)


class _Part(NamedTuple):
    values: NDArray[Any]
    end: int


def _array(body: bytes, start: int, dtype: type[np.generic], count: int) -> _Part:
    values = np.frombuffer(body, dtype, count, start)
    return _Part(values, start + values.nbytes)
