"""What a model says of texts: decisions, predictions, and the scores of its parts."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class Decision(StrEnum):
    """The outcome for a text."""

    accepted = "accepted"
    abstained = "abstained"
    empty = "empty"


@dataclass(frozen=True, slots=True)
class Prediction:
    """The label of one text."""

    label: str
    """The most probable label; multi-label: all labels that reach their threshold, joined by a comma."""
    probability: float
    """Calibrated probability of that label (multi-label: the highest of all classes)."""
    decision: Decision
    labels: tuple[str, ...]
    """The label alone, or all labels of a multi-label text."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of N texts and L labels by each part of a model."""

    probabilities: np.ndarray
    """(N, L) float32 of the whole model, calibrated; rows sum to 1 unless the model is multi-label."""
    recurrent_logits: np.ndarray
    """(N, L) float32 of the recurrent branch alone."""
    expert_logits: np.ndarray | None
    """(N, L) float32 of the linear expert alone; None where the model has none."""
    unknown_share: np.ndarray
    """(N,) float32, part of the tokens that are not in the vocabulary."""
    num_tokens: np.ndarray
    """(N,) int64, tokens that the network was given."""


def is_empty(text: str) -> bool:
    r"""Say whether a text has nothing but white space and zero-width characters.

    >>> is_empty(" \u200b\n"), is_empty("a")
    (True, False)
    """
    # Most texts begin with a letter or a digit, and stripping looks at both ends against a set of characters.
    if text[:1].isalnum():
        return False
    return not text.strip(" \t\r\n\f\v\u00a0\u200b\u200c\u200d\u2060\ufeff") or not text.strip()
