"""The bodies of the frames between the main process and a preparation worker: plain bytes, no pickle."""

import json
import struct
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from textlstm.arrays.strings import TokenColumn
from textlstm.config import TextConfig
from textlstm.config.checks import from_plain
from textlstm.text.fingerprint import TextDescription, TextFingerprint
from textlstm.text.tokenized import TokenizedTexts

_COUNTS = struct.Struct("<QQQ?")


def encode_settings(config: TextConfig, saved: TextFingerprint | None) -> bytes:
    """Return what a starter reads first."""
    return json.dumps({"config": asdict(config), "saved": None if saved is None else asdict(saved)}).encode()


class Settings(NamedTuple):
    """What a worker needs to build its pipeline."""

    config: TextConfig
    saved: TextFingerprint | None


def decode_settings(body: bytes) -> Settings:
    """Return what `encode_settings` wrote."""
    values = json.loads(body)
    saved = None if values["saved"] is None else TextFingerprint.from_mapping(values["saved"])
    return Settings(from_plain(TextConfig, values["config"]), saved)


def encode_ready(description: TextDescription) -> bytes:
    """Return the body of a ready frame."""
    return json.dumps({"saved": asdict(description.saved), "warnings": description.warnings}).encode()


def decode_ready(body: bytes) -> TextDescription:
    """Return what `encode_ready` wrote."""
    values = json.loads(body)
    return TextDescription(TextFingerprint.from_mapping(values["saved"]), tuple(values["warnings"]))


class Block(NamedTuple):
    """Texts to prepare."""

    number: int
    texts: list[str]


def encode_block(number: int, texts: Sequence[str]) -> bytes:
    """Return the body of a block frame; lone surrogates survive."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    # On the wire: counts, the byte length of each text, the bytes of all texts.
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
    prepared: TokenizedTexts


def encode_result(number: int, prepared: TokenizedTexts) -> bytes:
    """Return the body of a result frame: each distinct token once, and numbers."""
    column = prepared.tokens.compact()
    has_pos = prepared.pos is not None
    # On the wire: counts, offsets (N + 1,), removed (N,), numbers (M,), tags (M,) if any, then the tokens as JSON.
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
    # In the order of `encode_result`. The arrays are views of `body` and cannot be written to.
    offsets, start = _array(body, _COUNTS.size, np.int64, num_texts + 1)
    num_removed, start = _array(body, start, np.int32, num_texts)
    ids, start = _array(body, start, np.int32, num_tokens)
    pos, start = _array(body, start, np.uint8, num_tokens if has_pos else 0)
    distinct: list[str] = json.loads(body[start:])
    prepared = TokenizedTexts(
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
