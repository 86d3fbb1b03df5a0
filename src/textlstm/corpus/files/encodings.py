"""Text encodings: which names exist, and which can be cut into lines before they are decoded."""

import codecs
import difflib
import encodings.aliases

from textlstm.errors import InputError

_STATEFUL = ("utf-7", "hz", "iso2022", "utf-16", "utf-32", "cp037", "raw_unicode", "unicode_escape", "idna", "punycode")


def encoding_name(name: str, *, key_prefix: str = "data") -> str:
    """Return Python's own name of the encoding `name`; `utf-8-sig` is `utf-8`, since a BOM is always stripped.

    Raises:
        InputError: there is no such text encoding.
    """
    try:
        info = codecs.lookup(name)
        "".encode(info.name)
    except (LookupError, ValueError):
        texts = [alias for alias, codec in encodings.aliases.aliases.items() if not codec.endswith("_codec")]
        known = sorted({alias.replace("_", "-") for alias in texts} | {"utf-8", "utf-16", "utf-32"})
        near = difflib.get_close_matches(name.lower().replace("_", "-"), known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "; 'utf-8', 'cp1252' and 'utf-16' are usual ones."
        raise InputError(f"{key_prefix}.encoding: there is no text encoding {name!r}{hint}") from None
    return "utf-8" if info.name == "utf-8-sig" else info.name


def keeps_ascii(encoding: str) -> bool:
    """Return whether ASCII bytes stand for themselves, so that rows can be cut at line feeds before decoding."""
    if encoding.startswith(_STATEFUL):
        return False
    ascii_bytes = bytes(range(128))
    try:
        return ascii_bytes.decode(encoding) == ascii_bytes.decode("ascii")
    except UnicodeDecodeError:
        return False
