"""The names of the parts of a corpus."""

from enum import StrEnum


class Split(StrEnum):
    """The three parts of a corpus, in the order in which they are prepared."""

    train = "train"
    validation = "validation"
    test = "test"
