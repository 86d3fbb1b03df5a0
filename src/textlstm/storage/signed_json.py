"""JSON that holds its own sha256, so that a changed byte is noticed before anything is read out of it."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class DamagedJsonError(ValueError):
    """The bytes are not those that `SignedJson.to_bytes` wrote."""


class SignedJson(NamedTuple):
    """How one kind of file is written. Files of earlier versions stay readable, so each kind keeps its own way."""

    signature: str
    """Name of the entry that holds the sha256, in hexadecimal."""
    dump: Callable[[object], bytes]
    """Gives the bytes that the sha256 is taken of; equal content gives equal bytes."""
    body: str = ""
    """Name of the only other entry, which is what the sha256 is taken of; empty: of all other entries together."""
    write: Callable[[object], bytes] | None = None
    """Gives the bytes of the file; None: `dump` does."""

    def to_bytes(self, content: object) -> bytes:
        """Return `content` (a mapping of names, unless `body` is given) as JSON with its sha256."""
        entries: Mapping[str, Any] = {self.body: content} if self.body else dict(content)  # type: ignore[call-overload]
        return (self.write or self.dump)({**entries, self.signature: sha256_of_json(content, self.dump)})

    def from_bytes(self, raw: bytes) -> Any:
        """Return the content that `to_bytes` wrote.

        Raises:
            DamagedJsonError: any byte was changed, be it a space or the order of the entries.
        """
        try:
            entries = json.loads(raw)
            del entries[self.signature]
            content = entries[self.body] if self.body else entries
            # Writing it again compares the digest, and finds changed spaces and repeated keys, too.
            sound = self.to_bytes(content) == raw
        # Damaged bytes may be any JSON, or none; each way in which they fail means the same.
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
            sound = False
        if not sound:
            raise DamagedJsonError("the digest of its JSON is off")
        return content


def sha256_of_json(content: object, dump: Callable[[object], bytes]) -> str:
    """Return the sha256, in hexadecimal, of `content` as `dump` writes it."""
    return hashlib.sha256(dump(content)).hexdigest()


def compact_json(content: object) -> bytes:
    """Return `content` as one line of ASCII, its keys in order."""
    return (json.dumps(content, sort_keys=True) + "\n").encode("ascii")


def readable_json(content: object) -> bytes:
    """Return `content` as indented UTF-8, its keys in order; half a surrogate pair is kept as it is."""
    return _indented(content).encode("utf-8", "surrogatepass")


def readable_json_with_escapes(content: object) -> bytes:
    """Return `content` as `readable_json` does, but bytes of odd file names become JSON escapes."""
    return _indented(content).encode("utf-8", "backslashreplace")


def _indented(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
