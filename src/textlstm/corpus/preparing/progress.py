"""What a preparation reports while it works; a stage turns it into a bar."""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple


class Phase(StrEnum):
    """The steps of a preparation, in order."""

    waiting = "waiting"
    """Another process prepares the same corpus."""
    reading = "reading"
    """Rows are read, checked and split."""
    tokenising = "tokenising"
    """Texts become tokens and parts of speech."""
    writing = "writing"
    """Parts are joined, measured and stored."""


class Progress(NamedTuple):
    """How far a phase is; `rows_total` is None while the number of rows is not known."""

    phase: Phase
    rows_done: int
    rows_total: int | None
    words_done: int
    """Tokens in `tokenising`; 0 elsewhere."""


ProgressCallback = Callable[[Progress], None]
"""Called often (every few thousand rows); an exception it raises ends the preparation cleanly."""


def ignore_progress(progress: Progress) -> None:
    """Report nothing."""
