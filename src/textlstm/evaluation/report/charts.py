"""The pictures of the report: SVG that takes the page's colors, each with a text alternative.

Curves have a fixed picture of 360 by 230, which a narrow screen shows without making it smaller.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape

from textlstm.evaluation.bootstrap import Interval
from textlstm.evaluation.scored_rows import Integers
from textlstm.figure_text import percent_text
from textlstm.tracks import Scale

WIDTH, HEIGHT = 360, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 12, 40


class Curve(NamedTuple):
    """A line through points."""

    x: Sequence[float]
    y: Sequence[float]
    kind: str
    """Style class: own, other or plain."""
    name: str = ""


def curves(
    lines: Sequence[Curve],
    *,
    across: Scale,
    up: Scale,
    names: tuple[str, str],
    alternative: str,
    marks: Sequence[tuple[float, float, str]] = (),
    whole_numbers: bool = False,
    percent: bool = False,
) -> Markup:
    """Return line curves over two axes.

    Args:
        lines: the curves; named ones are listed above the plot.
        across: the axis from left to right.
        up: the axis from below to above.
        names: what the two axes are of.
        alternative: what the picture shows, in words.
        marks: points that are marked: x, y and a title.
        whole_numbers: the numbers across are counts.
        percent: the numbers on the axes are shares, written in percent.
    """
    parts = [_frame(across, up, names, whole_numbers=whole_numbers, percent=percent)]
    for line in lines:
        shown = [(x, y) for x, y in zip(line.x, line.y, strict=True) if np.isfinite(x) and np.isfinite(y)]
        points = " ".join(_point(across, up, x, y) for x, y in shown)
        parts.append(f'<polyline class="{line.kind}" points="{points}"/>')
        if len(shown) <= 30:
            parts += [_dot(across, up, x, y, kind=f"small {line.kind}") for x, y in shown]
    for x, y, title in marks:
        place = _point(across, up, x, y).partition(",")[0]
        parts.append(f'<line class="mark" x1="{place}" x2="{place}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
        parts.append(_dot(across, up, x, y, kind="chosen", title=title))
    legend = "".join(
        f'<span class="key {line.kind}"><svg width="18" height="10" aria-hidden="true">'
        f'<line x1="0" x2="18" y1="5" y2="5" class="{line.kind}"/></svg>{escape(line.name)}</span>'
        for line in lines
        if line.name
    )
    return Markup(f'<p class="keys">{legend}</p>') + _picture("".join(parts), alternative)  # escaped  # noqa: S704


def calibration_chart(bins: Sequence[tuple[float, float, Interval, int]], *, alternative: str) -> Markup:
    """Return a dot with its interval a bin against the diagonal; `bins` hold stated, right, interval of right, rows."""
    values = [value for stated, right, ends, _ in bins for value in (stated, right, *ends)]
    scale = Scale.around(values, most_ticks=6)
    parts = [_frame(scale, scale, ("stated probability", "share right"), percent=True)]
    corner = (
        _point(scale, scale, scale.low, scale.low).split(","),
        _point(scale, scale, scale.high, scale.high).split(","),
    )
    parts.append(
        f'<line class="diagonal" x1="{corner[0][0]}" y1="{corner[0][1]}" x2="{corner[1][0]}" y2="{corner[1][1]}"/>'
    )
    for stated, right, ends, num_rows in bins:
        x, low = _point(scale, scale, stated, ends.low).split(",")
        high = _point(scale, scale, stated, ends.high).partition(",")[2]
        parts.append(f'<line class="ends" x1="{x}" x2="{x}" y1="{low}" y2="{high}"/>')
        title = f"{num_rows:,} decisions: stated {percent_text(stated)}, right {percent_text(right)}"
        parts.append(_dot(scale, scale, stated, right, kind="dot", title=title))
    return _picture("".join(parts), alternative)


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


def _frame(
    across: Scale, up: Scale, names: tuple[str, str], *, whole_numbers: bool = False, percent: bool = False
) -> str:
    def number(scale: Scale, tick: float) -> str:
        return percent_text(tick, decimals=0 if scale.step >= 0.01 else 1) if percent else scale.text(tick)

    parts = []
    for tick in up.ticks:
        y = _point(across, up, across.low, tick).partition(",")[2]
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(
            f'<text class="t" x="{_LEFT - 6}" y="{float(y) + 4:.1f}" text-anchor="end">{number(up, tick)}</text>'
        )
    for tick in across.ticks:
        x = _point(across, up, tick, up.low).partition(",")[0]
        written = f"{tick:g}" if whole_numbers else number(across, tick)
        parts.append(f'<text class="t" x="{x}" y="{HEIGHT - _BOTTOM + 16}" text-anchor="middle">{written}</text>')
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(f'<text class="t" x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">{escape(names[0])}</text>')
    parts.append(f'<text class="t" x="{_LEFT}" y="9" text-anchor="start">{escape(names[1])}</text>')
    return "".join(parts)


def _point(across: Scale, up: Scale, x: float, y: float) -> str:
    left = _LEFT + across.share(x) * (WIDTH - _LEFT - _RIGHT)
    top = HEIGHT - _BOTTOM - up.share(y) * (HEIGHT - _TOP - _BOTTOM - 8)
    return f"{left:.1f},{top:.1f}"


def _dot(across: Scale, up: Scale, x: float, y: float, *, kind: str, title: str = "") -> str:
    left, top = _point(across, up, x, y).split(",")
    inner = f"<title>{escape(title)}</title>" if title else ""
    radius = 2.4 if "small" in kind else 4.5
    return f'<circle class="{kind}" cx="{left}" cy="{top}" r="{radius}">{inner}</circle>'


def _picture(content: str, alternative: str) -> Markup:
    return Markup(  # what is put in was escaped  # noqa: S704
        f'<svg class="plot" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" aria-label="{escape(alternative)}">'
        f"{content}</svg>"
    )
