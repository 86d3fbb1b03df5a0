"""Curves and the calibration chart of the report: SVG that takes the page's colors, each with a text alternative.

Curves have a fixed picture of 360 by 230, which a narrow screen shows without making it smaller.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape

from textlstm.evaluation.bootstrap import Interval
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
