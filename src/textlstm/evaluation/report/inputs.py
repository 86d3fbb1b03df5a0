"""What a report shows beside an evaluation: words that count for a class, the epochs of the training, other pages."""

from typing import NamedTuple

# Which words and parts of speech count for each class, as the report shows them.


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


# The training behind the model, and the pages beside the report.


class EpochPoint(NamedTuple):
    """One epoch of the training; validation figures are NaN where no validation rows were held out."""

    epoch: int
    train_loss: float
    validation_loss: float
    macro_f1: float


class Link(NamedTuple):
    """A page that belongs to the report."""

    name: str
    address: str
    """Relative to the report, or an address of a server."""
