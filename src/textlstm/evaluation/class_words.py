"""Which words and parts of speech count for each class, as the report shows them."""

from typing import NamedTuple


class WordWeight(NamedTuple):
    """A word or part of speech over the texts of one class."""

    name: str
    num_occurrences: int
    total: float
    """Summed share in the log-odds of the class."""


class ClassWords(NamedTuple):
    """What the explained texts of one predicted label have in common."""

    label: str
    num_texts: int
    words: tuple[WordWeight, ...]
    """By falling total."""
    pos: tuple[WordWeight, ...]
    """By falling total; empty where the model's texts are not tagged."""
