"""Metric and parameter names that MLflow accepts.

MLflow allows letters, digits, `_`, `-`, `.`, space, `:` and `/`. Class names may hold anything (`a/b`, `[x]`, `../`),
so every other character of a part is written as `:` and two hex digits a UTF-8 byte: `f1`, `cat[x]` -> `f1/cat:5Bx:5D`.
"""

import hashlib
import re

MAX_NAME_LENGTH = 250
_SAFE = re.compile(r"[A-Za-z0-9_\-. ]")


def metric_name(*parts: str) -> str:
    """Return one legal metric name whose parts are joined by `/`; each part may hold any character.

    `metric_name("test", "f1", "a/b") == "test/f1/a:2Fb"`. A name beyond 250 characters is cut and ends in a digest.
    """
    name = "/".join(_escape(part) for part in parts)
    return name if len(name) <= MAX_NAME_LENGTH else _shortened(name)


def legal_name(name: str) -> str:
    """Return `name` with its `/` kept as separators and everything else that MLflow refuses escaped."""
    return metric_name(*name.split("/"))


def _escape(part: str) -> str:
    if not part:
        return ":"  # MLflow refuses empty parts; a colon itself becomes :3A
    if not part.strip("."):
        return "".join(f":{ord(character):02X}" for character in part)  # `.` and `..` would be read as folders
    return "".join(character if _SAFE.match(character) else _hex(character) for character in part)


def _hex(character: str) -> str:
    return "".join(f":{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def _shortened(name: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    ending = f":7E{digest}"
    return name[: MAX_NAME_LENGTH - len(ending)].rstrip("/: ") + ending
