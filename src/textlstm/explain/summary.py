"""Over many texts: which to explain, what speaks for each class, and how long units remember."""

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
    if not read or read[0].cells[0].keep_gate is None:
        return ()
    found = []
    # All explanations have the same cells in the same order; the steps of all texts count together.
    for number, cell in enumerate(read[0].cells):
        keep_gates = [gates for entry in read if (gates := entry.cells[number].keep_gate) is not None]
        found.append(HalfLives(cell.layer, cell.direction, half_lives(keep_gates)))
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


# Which of many scored texts to explain: the least and the most certain, and some between.

MAX_WORK = 400_000
"""Sum of squared lengths: leaving out each word of a text of T tokens reads T * T tokens."""


def choose_texts(certainty: np.ndarray, lengths: np.ndarray, *, num_texts: int, max_work: int = MAX_WORK) -> list[int]:
    """Return row numbers: least and most certain rows in turn up to a third of `num_texts`, then rows spread evenly.

    Rows without tokens are passed over, and so is a row that would make the work more than `max_work`.

    Args:
        certainty: (N,) probability of each decision.
        lengths: (N,) tokens the network reads.
        num_texts: at most this many rows are returned.
        max_work: bound of the sum of squared lengths of the rows returned.
    """
    order = np.argsort(certainty, kind="stable")
    # Least certain, most certain, second least certain, ...: in turn up to a third.
    extremes = [row for pair in zip(order, order[::-1], strict=True) for row in pair][: num_texts // 3]
    # Twice as many candidates as needed, since some are passed over below.
    between = order[np.linspace(0, len(order) - 1, num=min(len(order), 2 * num_texts)).astype(np.int64)]
    chosen: dict[int, None] = {}
    work = 0
    # Rows that are too long for what is left of the work are passed over; shorter ones may still fit.
    for row in [*extremes, *between]:
        cost = int(lengths[row]) ** 2
        if len(chosen) < num_texts and int(row) not in chosen and 0 < cost <= max_work - work:
            chosen[int(row)] = None
            work += cost
    return list(chosen)
