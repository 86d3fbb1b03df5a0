"""Lines of dot plots and bars: SVG that gives its places in percent, so that it is as wide as the page lets it be.

A line stands in a line of HTML, between a name and a figure; `templates/base.css` has its style.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from textlstm.figure_text import fixed

_STEPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0)


class Scale(NamedTuple):
    """An axis from `low` to `high` with rounded ends."""

    low: float
    high: float
    step: float
    """Between two ticks."""

    @classmethod
    def around(cls, values: Sequence[float], *, most_ticks: int = 5, least: float = 0.0, most: float = 1.0) -> "Scale":
        """Return the axis that holds all `values`, within [least, most].

        >>> Scale.around([0.83, 0.95])
        Scale(low=0.8, high=0.95, step=0.05)
        """
        finite = [value for value in values if math.isfinite(value)] or [least, most]
        low, high = max(min(finite), least), min(max(finite), most)
        steps = [step for step in _STEPS if (high - low) / step <= most_ticks - 1]
        step = steps[0] if steps else (high - low) / (most_ticks - 1)
        first = max(math.floor(low / step + 1e-9) * step, least)
        last = min(math.ceil(high / step - 1e-9) * step, most)
        return cls(round(first, 6), round(max(last, first + step), 6), step)

    def share(self, value: float) -> float:
        """Return the place of `value` on the axis, from 0 at its low end to 1 at its high end."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    @property
    def ticks(self) -> list[float]:
        """Values that are named at the axis."""
        count = round((self.high - self.low) / self.step)
        return [round(self.low + index * self.step, 6) for index in range(count + 1)]

    def text(self, value: float) -> str:
        """Return a tick as it is written: two decimals, or as many as the step needs."""
        return fixed(value, 3 if self.step < 0.01 else 2)


def interval_track(
    value: float, interval: tuple[float, float] | None, scale: Scale, *, kind: str = "", title: str = ""
) -> Markup:
    """Return one line of a dot plot: a track, the interval and the dot; `kind` is a style class such as `own`."""
    parts = ['<line class="track" x1="0%" x2="100%" y1="9" y2="9"/>']
    parts += [
        f'<line class="grid" x1="{100 * scale.share(tick):.2f}%" x2="{100 * scale.share(tick):.2f}%" y1="0" y2="18"/>'
        for tick in scale.ticks
    ]
    if interval is not None and math.isfinite(interval[0]):
        ends = [100 * scale.share(end) for end in interval]
        parts.append(f'<line class="ends" x1="{ends[0]:.2f}%" x2="{ends[1]:.2f}%" y1="9" y2="9"/>')
    parts.append(f'<circle class="dot" cx="{100 * scale.share(value):.2f}%" cy="9" r="4.5"/>')
    return Markup(  # what is put in was escaped  # noqa: S704
        f'<svg class="line {kind}" height="18" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def axis(scale: Scale) -> Markup:
    """Return the numbers under lines of one scale."""
    parts = []
    for tick in scale.ticks:
        place = scale.share(tick)
        # The outermost numbers stay inside of the picture.
        anchor = "start" if place < 0.01 else "end" if place > 0.99 else "middle"
        parts.append(f'<text x="{100 * place:.2f}%" y="12" text-anchor="{anchor}">{scale.text(tick)}</text>')
    return Markup(  # numbers alone  # noqa: S704
        f'<svg class="line axis" height="16" aria-hidden="true">{"".join(parts)}</svg>'
    )


def bar_track(share: float, *, kind: str = "", title: str = "") -> Markup:
    """Return one bar, `share` of the width long."""
    width = 100 * min(max(share, 0.0), 1.0)
    return Markup(  # what is put in was escaped  # noqa: S704
        f'<svg class="line bar {kind}" height="12" role="img" aria-label="{escape(title)}">'
        f'<rect x="0" y="1" width="{width:.2f}%" height="10" rx="1.5"/></svg>'
    )


class BarLine(NamedTuple):
    """A name with a bar and a figure."""

    name: str
    bar: Markup
    figure: str


def bar_lines(values: Sequence[tuple[str, float]], *, most: int) -> list[BarLine]:
    """Return the first `most` names whose value is above 0, each with a bar relative to the largest of them."""
    shown = [(name, value) for name, value in values if value > 0][:most]
    largest = max((value for _, value in shown), default=1.0)
    decimals = 2 if largest >= 1 else 3
    lines = []
    for name, value in shown:
        title = f"{name}: {fixed(value, 3)}, {value / largest:.0%} of the longest bar"
        lines.append(BarLine(name, bar_track(value / largest, kind="own", title=title), fixed(value, decimals)))
    return lines
