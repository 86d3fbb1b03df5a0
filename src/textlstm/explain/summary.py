"""Over many texts: which words, parts of speech and units speak for each class, and how long units remember."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from textlstm.explain.attribution import Method
from textlstm.explain.explanation import Explanation
from textlstm.explain.gates import Direction, half_lives

_MOST_WORDS = 12
_MOST_UNITS = 5


class Counted(NamedTuple):
    """A word or part of speech over the texts of one class."""

    name: str
    num_occurrences: int
    total: float
    """Summed attribution, in log-odds of the class."""

    @property
    def mean(self) -> float:
        """Attribution of one occurrence."""
        return self.total / self.num_occurrences


class Unit(NamedTuple):
    """One unit of the last layer."""

    direction: Direction
    number: int
    effect: float
    """What it puts into the log-odds of the class, mean over its texts, beyond its mean over all texts."""
    half_life: float | None
    """In steps; None for a plain RNN."""


@dataclass(frozen=True, slots=True)
class ClassView:
    """The texts that were given one label."""

    label: str
    num_texts: int
    words: tuple[Counted, ...]
    """Words that speak most for the label, by total."""
    pos: tuple[Counted, ...]
    """All parts of speech, by total; empty without tagger."""
    units: tuple[Unit, ...]


class HalfLives(NamedTuple):
    """The memory of one cell of the network."""

    layer: int
    direction: Direction
    steps: np.ndarray
    """(H,) float64 half-lives of its units, in steps."""


@dataclass(frozen=True, slots=True)
class CorpusView:
    """What many explanations show together."""

    num_texts: int
    method: Method
    """The attribution behind the words."""
    classes: tuple[ClassView, ...]
    """By falling number of texts."""
    half_lives: tuple[HalfLives, ...]
    """Empty for a plain RNN."""


def view_corpus(explanations: Sequence[Explanation], method: Method) -> CorpusView:
    """Return the view over `explanations`, with words counted by `method`."""
    lives = memory_half_lives(explanations)
    # (D, H): what a unit puts into any decision, to be taken off the mean of each class.
    overall = np.mean([entry.unit_effects for entry in explanations], axis=0) if explanations else np.zeros((0, 0))
    by_label: dict[str, list[Explanation]] = defaultdict(list)
    for explanation in explanations:
        by_label[explanation.label].append(explanation)
    classes = [
        ClassView(
            label,
            len(members),
            words=_strongest([pair for entry in members for pair in _pairs(entry.tokens, entry, method)]),
            pos=_strongest([pair for entry in members for pair in _pairs(entry.pos, entry, method)]),
            units=_units(members, overall, lives),
        )
        for label, members in by_label.items()
    ]
    return CorpusView(
        len(explanations), method, tuple(sorted(classes, key=lambda entry: (-entry.num_texts, entry.label))), lives
    )


def memory_half_lives(explanations: Sequence[Explanation]) -> tuple[HalfLives, ...]:
    """Return the half-lives of every cell's units over all steps of all texts; nothing for a plain RNN or no word."""
    read = [entry for entry in explanations if entry.tokens]
    if not read or read[0].cells[0].kept is None:
        return ()
    found = []
    # All explanations have the same cells in the same order; the steps of all texts count together.
    for number, cell in enumerate(read[0].cells):
        kept = [gates for entry in read if (gates := entry.cells[number].kept) is not None]
        found.append(HalfLives(cell.layer, cell.direction, half_lives(kept)))
    return tuple(found)


def _pairs(names: Sequence[str], explanation: Explanation, method: Method) -> list[tuple[str, float]]:
    """Return each token's name and value; nothing where there are no names (no tagger)."""
    return list(zip(names, explanation.attributions[method].tolist(), strict=True)) if names else []


def _strongest(pairs: Sequence[tuple[str, float]]) -> tuple[Counted, ...]:
    counts: dict[str, int] = defaultdict(int)
    totals: dict[str, float] = defaultdict(float)
    for name, value in pairs:
        counts[name] += 1
        totals[name] += value
    ranked = sorted(totals, key=lambda name: (-totals[name], name))[:_MOST_WORDS]
    return tuple(Counted(name, counts[name], totals[name]) for name in ranked)


def _units(members: Sequence[Explanation], overall: np.ndarray, lives: Sequence[HalfLives]) -> tuple[Unit, ...]:
    effects = np.mean([entry.unit_effects for entry in members], axis=0) - overall  # (D, H)
    num_directions, size = effects.shape
    # Indices into the flat (D * H,) effects.
    strongest = np.argsort(-effects, axis=None, kind="stable")[:_MOST_UNITS].tolist()
    # The last cells are those of the last layer, one a direction, as in `effects`.
    tops = lives[-num_directions:]
    directions = tuple(Direction)
    return tuple(
        Unit(
            directions[place // size],
            place % size,
            float(effects.flat[place]),
            float(tops[place // size].steps[place % size]) if tops else None,
        )
        for place in strongest
    )
