"""The confusion matrix of the report: an SVG that is readable with 5 labels and with 150."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape

from textlstm.evaluation.scored_rows import Integers
from textlstm.figure_text import percent_text


class Matrix(NamedTuple):
    """A confusion matrix that fits on a page."""

    picture: Markup
    num_shown: int
    num_labels: int
    share_of_errors: float
    """Part of all wrong rows whose true and predicted label are both shown."""


_MOST_SHOWN = 30
_CELL, _NAMES, _MOST_CHARS = 24, 232, 26


def confusion_matrix(labels: Sequence[str], counts: Integers) -> Matrix:
    """Return the matrix of the labels that are confused most, ordered so that confused ones stand side by side.

    Every row is named; columns have the numbers of the rows. Names that are cut have their whole text as a title.

    Args:
        labels: L names.
        counts: (L, L) rows of each true label by predicted label.
    """
    wrong = counts - np.diag(np.diag(counts))
    both = wrong + wrong.T
    chosen = np.sort(np.argsort(-both.sum(axis=1), kind="stable")[:_MOST_SHOWN])
    order = chosen[order_by_confusion(both[np.ix_(chosen, chosen)])]
    shown = counts[np.ix_(order, order)]
    # Shares are of all rows of the true label, also of those in columns that are not shown.
    shares = shown / np.maximum(counts[order].sum(axis=1, keepdims=True), 1)
    parts = [f'<text class="t" x="{_NAMES - 8}" y="12" text-anchor="end">true ↓ &#160; predicted →</text>']
    for place, label in enumerate(order.tolist()):
        name, middle = labels[label], 20 + place * _CELL + _CELL / 2
        number = f"{place + 1}"
        x = _NAMES + place * _CELL + _CELL / 2
        parts.append(
            f'<text class="t" x="{x}" y="14" text-anchor="middle">{number}<title>{escape(name)}</title></text>'
        )
        parts.append(
            f'<text x="{_NAMES - 8}" y="{middle + 4}" text-anchor="end">{escape(_cut(name))} '
            f'<tspan class="t">{number}</tspan><title>{escape(name)}</title></text>'
        )
    for row, column in zip(*np.nonzero(shown), strict=True):
        x, y = _NAMES + int(column) * _CELL, 20 + int(row) * _CELL
        level = int(np.ceil(5 * float(shares[row, column])))
        kind = "right" if row == column else "wrong"
        title = (
            f"true {labels[order[row]]}, predicted {labels[order[column]]}: {int(shown[row, column]):,} rows, "
            f"{percent_text(float(shares[row, column]))} of the label"
        )
        many = " many" if shown[row, column] >= 1000 else ""
        parts.append(
            f'<g class="cell {kind} s{level}{many}"><title>{escape(title)}</title>'
            f'<rect x="{x + 0.5}" y="{y + 0.5}" width="{_CELL - 1}" height="{_CELL - 1}"/>'
            f'<text x="{x + _CELL / 2}" y="{y + _CELL / 2 + 4}" text-anchor="middle">'
            f"{_short(int(shown[row, column]))}</text></g>"
        )
    side = len(order) * _CELL
    parts.append(f'<rect class="edge" x="{_NAMES}" y="20" width="{side}" height="{side}"/>')
    size = _NAMES + side + 2, 20 + side + 2
    num_wrong = int(wrong.sum())
    which = "every label" if len(order) == len(labels) else f"the {len(order)} of {len(labels)} labels confused most"
    alternative = f"Confusion matrix of {which}: {num_wrong} of {int(counts.sum())} rows are off the diagonal."
    picture = Markup(  # every name was escaped where it was put in  # noqa: S704
        f'<svg class="matrix" role="img" viewBox="0 0 {size[0]} {size[1]}" width="{size[0]}" height="{size[1]}" '
        f'aria-label="{escape(alternative)}">{"".join(parts)}</svg>'
    )
    share = float(wrong[np.ix_(order, order)].sum()) / num_wrong if num_wrong else 1.0
    return Matrix(picture, len(order), len(labels), share)


def order_by_confusion(both: np.ndarray) -> list[int]:
    """Return an order of labels in which confused ones are neighbors: the next is the one most confused with the last.

    Args:
        both: (L, L) symmetric counts of confusions, zero on the diagonal.
    """
    left = list(range(len(both)))
    order = [int(both.sum(axis=1).argmax())] if left else []
    while len(order) < len(left):
        rest = [label for label in left if label not in order]
        # Older neighbors count less; ties go to the label that is confused most, then to the first.
        pull = sum(both[placed] / 2**age for age, placed in enumerate(reversed(order[-4:])))
        order.append(max(rest, key=lambda label: (float(pull[label]), float(both[label].sum()), -label)))
    return order


def _short(count: int) -> str:
    """Return a count of at most four characters.

    >>> _short(9999), _short(15000), _short(1234567)
    ('9999', '15k', '999k')
    """
    return str(count) if count < 10_000 else f"{min(round(count / 1000), 999)}k"


def _cut(name: str) -> str:
    shown = "".join(character if character.isprintable() else "·" for character in name)
    return shown if len(shown) <= _MOST_CHARS else f"{shown[: _MOST_CHARS - 1]}…"
