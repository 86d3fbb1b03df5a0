"""Token <-> id: the frequent words of the training texts."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from textlstm.errors import IntegrityError

PAD_TOKEN = "<pad>"  # noqa: S105
UNKNOWN_TOKEN = "<unk>"  # noqa: S105


class Vocabulary:
    """An ordered set of tokens; a token's id is its place."""

    PAD_ID = 0
    UNKNOWN_ID = 1

    def __init__(self, tokens: Iterable[str]) -> None:
        """Keep `tokens`, which start with `<pad>` and `<unk>`.

        Raises:
            IntegrityError: The two special tokens do not come first, or a token occurs twice.
        """
        self.tokens = tuple(tokens)
        if self.tokens[:2] != (PAD_TOKEN, UNKNOWN_TOKEN):
            raise IntegrityError(f"a vocabulary starts with {PAD_TOKEN} and {UNKNOWN_TOKEN}, got {self.tokens[:2]}")
        self._ids = {token: index for index, token in enumerate(self.tokens)}
        if len(self._ids) != len(self.tokens):
            raise IntegrityError("a token occurs twice in the vocabulary")

    def __len__(self) -> int:
        """Return the number of ids, the two special ones included."""
        return len(self.tokens)

    def __contains__(self, token: str) -> bool:
        """Say whether the token has an id of its own."""
        return token in self._ids

    @classmethod
    def build(cls, counts: Mapping[str, int], *, max_size: int, min_count: int) -> "Vocabulary":
        """Return the most frequent tokens; ties go by the token, so that equal counts give equal ids.

        Args:
            counts: How often each token occurs in the training texts.
            max_size: At most this many ids, the two special ones included.
            min_count: Rarer tokens are left out.
        """
        special = (PAD_TOKEN, UNKNOWN_TOKEN)
        # A text may hold the special tokens as words; they have their ids already.
        frequent = [token for token, count in counts.items() if count >= min_count and token not in special]
        frequent.sort(key=lambda token: (-counts[token], token))
        return cls((*special, *frequent[: max(0, max_size - len(special))]))

    def encode(self, tokens: Sequence[str]) -> NDArray[np.int32]:
        """Return the (len(tokens),) int32 ids; unknown tokens get UNKNOWN_ID."""
        return np.fromiter(map(self._ids.get, tokens, repeat(self.UNKNOWN_ID)), np.int32, len(tokens))

    def to_lines(self) -> list[str]:
        r"""Return one line a token for a text file; line breaks and backslashes are written as `\n`, `\r`, `\\`."""
        return [_escape(token) for token in self.tokens]

    @classmethod
    def from_lines(cls, lines: Iterable[str]) -> "Vocabulary":
        """Return the vocabulary that `to_lines` wrote; lines come without their line end.

        Raises:
            IntegrityError: A line has a broken escape, a token twice, or the special tokens are missing.
        """
        return cls(_unescape(line) for line in lines)


_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"} | {
    character: f"\\u{ord(character):04x}" for character in "\v\f\x1c\x1d\x1e\x85\u2028\u2029"
}
"""Everything that `str.splitlines` takes for the end of a line, and the escape sign itself."""
_ESCAPE_TABLE = str.maketrans(_ESCAPES)
_PLAIN = {escape: character for character, escape in _ESCAPES.items()}


def _escape(token: str) -> str:
    return token.translate(_ESCAPE_TABLE)


def _unescape(line: str) -> str:
    if "\\" not in line:
        return line
    parts, start = [], 0
    # Copy up to each backslash, then the character that its escape stands for.
    while (at := line.find("\\", start)) >= 0:
        escape = line[at : at + (6 if line[at + 1 : at + 2] == "u" else 2)]
        if escape not in _PLAIN:
            raise IntegrityError(f"vocabulary: broken escape {escape!r}")
        parts += [line[start:at], _PLAIN[escape]]
        start = at + len(escape)
    return "".join([*parts, line[start:]])
