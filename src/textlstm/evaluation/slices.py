"""How the model fares on parts of the rows: by length, unknown words, parts of speech, class and input columns."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from textlstm.evaluation.bootstrap import Interval, proportion_interval
from textlstm.evaluation.scored_rows import UNKNOWN_LABEL, UNKNOWN_TARGET, Booleans, ScoredRows

SMALL = 30
"""Slices of fewer rows are flagged: their figures say little."""

_MAX_VALUES = 20
_NUM_BANDS = 4


class Slice(NamedTuple):
    """Rows that share something."""

    group: str
    """What the rows were cut by, such as `length`."""
    value: str
    """Which part this is, such as `9-15 tokens`."""
    num_rows: int
    num_correct: int
    interval: Interval
    """Exact interval of the accuracy."""
    p_value: float
    """Fisher's exact test against all other rows, corrected for the number of slices (Holm)."""

    @property
    def accuracy(self) -> float:
        """Share of right rows (multi-label: every label right)."""
        return self.num_correct / self.num_rows

    @property
    def is_small(self) -> bool:
        """Whether there are too few rows to conclude anything."""
        return self.num_rows < SMALL


def cut_slices(rows: ScoredRows, correct: Booleans, *, confidence: float) -> list[Slice]:
    """Return every slice of `rows`, given which rows are `correct` (N,)."""
    # A part that holds no row or all rows has nothing to be compared with.
    cuts = [
        (group, value, members)
        for group, parts in _groups(rows)
        for value, members in parts
        if 0 < members.sum() < len(members)
    ]
    # The correction needs the tests of all slices at once.
    p_values = _holm([_fisher(correct, members) for _, _, members in cuts])
    return [
        Slice(
            group=group,
            value=value,
            num_rows=int(members.sum()),
            num_correct=int(correct[members].sum()),
            interval=proportion_interval(int(correct[members].sum()), int(members.sum()), confidence=confidence),
            p_value=p_value,
        )
        for (group, value, members), p_value in zip(cuts, p_values, strict=True)
    ]


def _groups(rows: ScoredRows) -> Iterator[tuple[str, Iterator[tuple[str, Booleans]]]]:
    """Name of each cut, with its parts as (name, (N,) bool)."""
    if rows.num_tokens is not None:
        yield "length", _bands(rows.num_tokens.astype(np.float64), unit=" tokens", share=False)
    if rows.num_removed is not None and rows.num_removed.any():
        yield "removed words", _bands(rows.num_removed.astype(np.float64), unit=" tokens", share=False)
    if rows.unknown_share is not None:
        yield "unknown words", _bands(rows.unknown_share, unit="", share=True)
    if rows.pos_share is not None:
        # The four parts of speech with the largest mean share.
        frequent = np.argsort(-rows.pos_share.mean(axis=0), kind="stable")[:4]
        for column in frequent:
            if rows.pos_share[:, column].any():
                yield (
                    f"share of {rows.pos_tags[column] or 'untagged'}",
                    _bands(rows.pos_share[:, column], unit="", share=True),
                )
    yield "class", _classes(rows)
    for name, values in rows.columns.items():
        # One value more than allowed is counted, to tell a column with too many values.
        frequent_values = Counter(values).most_common(_MAX_VALUES + 1)
        if 2 <= len(frequent_values) <= _MAX_VALUES:
            yield f"column {name}", _values(values, [value for value, _ in frequent_values])


def _bands(values: NDArray[np.floating], *, unit: str, share: bool) -> Iterator[tuple[str, Booleans]]:
    """Up to four parts of similar size with distinct values between them."""
    # Quantiles that fall on the same value leave fewer bands.
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _NUM_BANDS + 1), method="lower"))
    for index, low in enumerate(edges[:-1]):
        # Bands leave out their upper edge, except for the last.
        last = index == len(edges) - 2
        members = (values >= low) & ((values <= edges[-1]) if last else (values < edges[index + 1]))
        if not members.any():
            continue
        first, final = float(values[members].min()), float(values[members].max())
        ends = [f"{end:.0%}" if share else f"{end:g}" for end in (first, final)]
        yield (ends[0] if ends[0] == ends[1] else f"{ends[0]}-{ends[1]}") + unit, np.asarray(members, dtype=np.bool_)


def _classes(rows: ScoredRows) -> Iterator[tuple[str, Booleans]]:
    for label_id, label in enumerate(rows.labels):
        yield label, np.asarray(rows.targets[:, label_id] if rows.is_multi_label else rows.targets == label_id, bool)
    if not rows.is_multi_label:
        yield UNKNOWN_LABEL, np.asarray(rows.targets == UNKNOWN_TARGET, dtype=np.bool_)


def _values(values: list[str], chosen: list[str]) -> Iterator[tuple[str, Booleans]]:
    array = np.array(values, dtype=object)
    for value in chosen:
        yield value or "(empty)", np.asarray(array == value, dtype=np.bool_)


def _fisher(correct: Booleans, members: Booleans) -> float:
    from scipy.stats import fisher_exact

    # (2, 2): right and wrong rows, inside the slice and outside.
    table = np.array([[(correct & side).sum(), (~correct & side).sum()] for side in (members, ~members)])
    return float(fisher_exact(table).pvalue)


def _holm(p_values: list[float]) -> list[float]:
    """Holm's step-down correction, in the given order."""
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    # From the smallest p-value on, each is multiplied by the number of tests left and never falls below the one before.
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return adjusted
