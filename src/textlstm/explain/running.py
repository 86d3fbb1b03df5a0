"""The decision as the words come in: the recurrent branch on ever longer beginnings and ends of a text."""

from typing import NamedTuple

import numpy as np

from textlstm.explain.reader import TextReader, make_variants
from textlstm.models.probabilities import to_probabilities

MOST_POINTS = 32
"""Longer texts are cut at this many places, evenly spread."""


class RunningProbability(NamedTuple):
    """What the recurrent branch would say if the text ended, or began, at some of its words."""

    places: np.ndarray
    """(K,) int64 numbers of words read, ascending; the last is the whole text."""
    forwards: np.ndarray
    """(K, L) float32 calibrated probabilities after the first `places` words."""
    backwards: np.ndarray
    """(K, L) the same for the last `places` words."""


def running_probabilities(reader: TextReader) -> list[RunningProbability]:
    """Return the running probabilities of every text of `reader`; each point is a full reading of that part."""
    classifier = reader.classifier

    def pieces(length: int) -> list[np.ndarray]:
        places = places_of(length).tolist()
        return [np.arange(place) for place in places] + [np.arange(length - place, length) for place in places]

    variants = make_variants(reader, pieces)
    logits = classifier.gate.recurrent_alone(reader.logits(variants))
    probabilities = to_probabilities(logits, classifier.bundle.task)
    found, begin = [], 0
    for length in reader.split.lengths.tolist():
        places = places_of(length)
        middle, end = begin + len(places), begin + 2 * len(places)
        found.append(RunningProbability(places, probabilities[begin:middle], probabilities[middle:end]))
        begin = end
    return found


def places_of(length: int) -> np.ndarray:
    """Return where a text of `length` words is cut: after every word, or at MOST_POINTS places.

    >>> places_of(3).tolist(), places_of(0).tolist()
    ([1, 2, 3], [])
    """
    if length <= MOST_POINTS:
        return np.arange(1, length + 1)
    return np.unique(np.linspace(1, length, MOST_POINTS).round().astype(np.int64))
