"""What every source of vectors returns."""

from typing import NamedTuple

import numpy as np


class FoundVectors(NamedTuple):
    """The vectors of one source for the words asked for."""

    vectors: np.ndarray
    """(N, dimensions) float32; zeros where nothing was found."""
    found: np.ndarray
    """(N,) bool."""


def spellings(word: str) -> tuple[str, ...]:
    """Return the forms under which a lower-cased word may be filed, best first: as it is, lower, Capital, UPPER."""
    return tuple(dict.fromkeys((word, word.lower(), word.capitalize(), word.upper())))
