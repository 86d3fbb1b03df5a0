"""Pictures of the page of explanations: SVG by hand, styled by classes alone, each with a text alternative."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape

from textlstm.explain.explanation import Explanation, IncrementalPrediction
from textlstm.explain.faithfulness import FRACTIONS, Faithfulness
from textlstm.explain.summary import HalfLives

NUM_LEVELS = 6
"""Shades of a strip, and of a word in each direction."""
_MOST_COLUMNS = 160
_MOST_NAMED = 48
_ROW, _LEFT, _WIDEST = 15, 150, 768
_LEAST_CONTRAST = 0.1
"""Gates that differ by less over a text are not drawn as if they differed much."""


class StripRow(NamedTuple):
    """One line of a heat strip."""

    name: str
    values: np.ndarray
    """(S,) values."""
    low: float
    """Values up to this get the lightest shade."""
    high: float
    """Values from this on get the darkest shade."""
    is_signed: bool = False
    """Whether the lightest shade stands for 0 and values below have another color; `low` is then 0."""

    @property
    def shades(self) -> np.ndarray:
        """(S,) values in [0, 1], or [-1, 1] where they are signed."""
        return np.clip((self.values - self.low) / (self.high - self.low), -1.0 if self.is_signed else 0.0, 1.0)

    @property
    def span(self) -> str:
        """Least and largest value."""
        form = "+.2f" if self.is_signed else ".2f"
        return f"{self.values.min():{form}} to {self.values.max():{form}}"


def levels_of(values: np.ndarray) -> np.ndarray:
    """Return (T,) ints in [-NUM_LEVELS, NUM_LEVELS]: values relative to the largest, rounded, 0 for next to nothing.

    >>> levels_of(np.array([3.0, -1.5, 0.1])).tolist()
    [6, -3, 0]
    """
    largest = float(np.abs(values).max(initial=0.0))
    return np.rint(values / largest * NUM_LEVELS).astype(int) if largest > 0 else np.zeros(len(values), dtype=int)


def heat_strip(rows: Sequence[StripRow], words: Sequence[str], *, alternative: str) -> Markup:
    """Return a strip with one line a row and one column a step; long texts are averaged into fewer columns."""
    num_columns = min(len(words), _MOST_COLUMNS)
    named = len(words) <= _MOST_NAMED
    width = min(24, _WIDEST // num_columns) if named else 5
    top = 74 if named else 18
    parts = []
    if named:
        # Short texts have their words above the columns ...
        for column, word in enumerate(words):
            shown = word if len(word) <= 12 else f"{word[:11]}…"
            place = f"translate({_LEFT + (column + 0.5) * width + 3:g} {top - 5}) rotate(-60)"
            parts.append(f'<text transform="{place}">{_titled(shown, word)}</text>')
    else:
        # ... and long texts the number of the step above every twentieth column.
        for column in range(0, num_columns, 20):
            step = column * len(words) // num_columns + 1
            parts.append(f'<text class="t" x="{_LEFT + column * width}" y="{top - 5}">{step}</text>')
    # One line a row: its name, its cells, and the span of its values.
    for number, row in enumerate(rows):
        y = top + number * (_ROW + 2)
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 11}" text-anchor="end">{escape(row.name)}</text>')
        parts.append(_cells(row, num_columns, width=width, middle=y + _ROW / 2))
        parts.append(f'<text class="t" x="{_LEFT + num_columns * width + 8}" y="{y + 11}">{escape(row.span)}</text>')
    size = _LEFT + num_columns * width + 100, top + len(rows) * (_ROW + 2)
    return _picture("".join(parts), size, alternative)


def _titled(shown: str, whole: str) -> Markup:
    """Return a name as the content of a picture's text; where it was cut, with the whole name as its title."""
    title = Markup("<title>{}</title>").format(whole) if shown != whole else Markup()
    return escape(shown) + title


def incremental_chart(running: IncrementalPrediction, labels: Sequence[tuple[str, int]], *, alternative: str) -> Markup:
    """Return the probabilities of some (name, number) `labels` as the words come in, from both ends."""
    plot = _Plot(460, 150)
    parts = [plot.frame(f"words read, of {int(running.places[-1])}")]
    span = max(int(running.places[-1]) - 1, 1)
    for rank, (name, number) in enumerate(labels):
        # A line for each end of the text from which words come in.
        for kind, values in (("f", running.forwards), ("b", running.backwards)):
            line = " ".join(
                plot.point((place - 1) / span, value)
                for place, value in zip(running.places.tolist(), values[:, number].tolist(), strict=True)
            )
            parts.append(f'<polyline class="l{rank} {kind}" points="{line}"/>')
        y = plot.top + 12 + rank * 36
        shown = name if len(name) <= 18 else f"{name[:17]}…"
        # The legend stands to the right of the plot.
        for offset, (kind, words) in enumerate((("f", "from the start"), ("b", "from the end"))):
            parts.append(f'<path class="l{rank} {kind}" d="M{plot.right + 8} {y + offset * 16 - 4}h24"/>')
            legend = _titled(f"{shown}, {words}", name if shown != name else f"{shown}, {words}")
            parts.append(f'<text x="{plot.right + 38}" y="{y + offset * 16}">{legend}</text>')
    return _picture("".join(parts), (plot.right + 260, plot.bottom + 34), alternative)


def deletion_chart(found: Sequence[Faithfulness], *, alternative: str) -> Markup:
    """Return the deletion curves of all methods and of random deletion."""
    plot = _Plot(460, 190)
    parts = [plot.frame("share of the words taken out")]
    curves = [(entry.method.value.replace("_", " "), entry.curve) for entry in found]
    curves.append(("random", found[0].random_curve))
    for rank, (name, curve) in enumerate(curves):
        style = "r" if name == "random" else f"l{rank}"
        line = " ".join(plot.point(fraction, value) for fraction, value in zip(FRACTIONS, curve, strict=True))
        parts.append(f'<polyline class="{style} d{rank}" points="{line}"/>')
        y = plot.top + 14 + rank * 20
        parts.append(f'<path class="{style} d{rank}" d="M{plot.right + 8} {y - 4}h24"/>')
        parts.append(f'<text x="{plot.right + 38}" y="{y}">{escape(name)}</text>')
    return _picture("".join(parts), (plot.right + 260, plot.bottom + 34), alternative)


def half_life_chart(cells: Sequence[HalfLives], *, alternative: str) -> Markup:
    """Return how many units of each cell have which half-life; bins double from 1/2 step to 64 and more."""
    bounds = [0, 0.5, 1, 2, 4, 8, 16, 32, 64, np.inf]
    names = ["<½", "½–1", "1–2", "2–4", "4–8", "8–16", "16–32", "32–64", "64+"]
    parts, y = [], 16
    for cell in cells:
        # Infinite half-lives are cut to a large number, for the last bin to count them.
        counts = np.histogram(np.minimum(cell.steps, 1e9), bounds)[0]
        parts.append(f'<text x="0" y="{y}">layer {cell.layer + 1}, {cell.direction.value}</text>')
        for column, (name, count) in enumerate(zip(names, counts.tolist(), strict=True)):
            height = 60 * count / max(int(counts.max()), 1)
            x = 4 + column * 56
            parts.append(f'<rect class="bar" x="{x}" y="{y + 82 - height:.1f}" width="44" height="{height:.1f}"/>')
            parts.append(f'<text class="t" x="{x + 22}" y="{y + 78 - height:.1f}" text-anchor="middle">{count}</text>')
            parts.append(f'<text class="t" x="{x + 22}" y="{y + 96}" text-anchor="middle">{escape(name)}</text>')
        y += 126
    return _picture("".join(parts), (520, y - 16), alternative)


def strip_rows(explanation: Explanation) -> list[StripRow]:
    """Return the lines that show one text: mean openness of each gate, and what survives, cell by cell."""
    rows = []
    several = len({cell.layer for cell in explanation.cells}) > 1
    for cell in explanation.cells:
        # Name the direction always, and the layer only where there are several.
        arrow = "→" if cell.direction == "forwards" else "←"
        place = f"{arrow}{cell.layer + 1}" if several else arrow
        rows += [_contrasted(f"{name.value} gate {place}", gate.mean(axis=1)) for name, gate in cell.gates.items()]
        if not cell.gates:
            rows.append(_contrasted(f"state, size {place}", np.abs(cell.hidden).mean(axis=1)))
        if cell.survival is not None:
            largest = max(float(cell.survival.max(initial=0.0)), 1e-9)
            rows.append(StripRow(f"left at the end {place}", cell.survival, 0.0, largest))
    return rows


def _contrasted(name: str, values: np.ndarray) -> StripRow:
    """Return a line whose shades go from its least to its largest value, so that small differences are seen."""
    low, high = float(values.min(initial=1.0)), float(values.max(initial=0.0))
    margin = max(_LEAST_CONTRAST - (high - low), 0.0) / 2
    return StripRow(name, values, low - margin, high + margin)


class _Plot(NamedTuple):
    """A plot from 0 to 1 in both directions."""

    width: int
    height: int
    left: int = 40
    top: int = 10

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def bottom(self) -> int:
        return self.top + self.height

    def point(self, x: float, y: float) -> str:
        return f"{self.left + x * self.width:.1f},{self.bottom - y * self.height:.1f}"

    def frame(self, caption: str) -> str:
        parts = [f'<path class="axis" d="M{self.left} {self.top}v{self.height}h{self.width}"/>']
        for tick in (0, 0.5, 1):
            y = self.bottom - tick * self.height
            parts.append(f'<text class="t" x="{self.left - 6}" y="{y + 4:.0f}" text-anchor="end">{tick:g}</text>')
        middle = self.left + self.width / 2
        parts.append(
            f'<text class="t" x="{middle}" y="{self.bottom + 24}" text-anchor="middle">{escape(caption)}</text>'
        )
        return "".join(parts)


def _cells(row: StripRow, num_columns: int, *, width: int, middle: float) -> str:
    """Return the cells of a row: one path a shade, in units of columns, so that a cell costs a few bytes."""
    values = row.shades
    if len(values) > num_columns:
        # (S,) become (columns,): each column is the mean of its steps.
        edges = np.linspace(0, len(values), num_columns + 1).astype(int)
        values = np.add.reduceat(values, edges[:-1]) / np.diff(edges)
    levels = np.rint(values * NUM_LEVELS).astype(int)
    bounds = np.flatnonzero(np.diff(levels, prepend=NUM_LEVELS + 1, append=NUM_LEVELS + 1))  # runs of one shade
    shades: dict[str, list[str]] = {}
    for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        level = int(levels[begin])
        shade = f"h{level}" if not row.is_signed else f"p{level}" if level >= 0 else f"n{-level}"
        shades.setdefault(shade, []).append(f"M{begin} 0h{end - begin}")
    paths = "".join(f'<path class="c {shade}" d="{"".join(moves)}"/>' for shade, moves in sorted(shades.items()))
    return f'<g transform="translate({_LEFT} {middle:g}) scale({width} 1)">{paths}</g>'


def _picture(content: str, size: tuple[float, float], alternative: str) -> Markup:
    width, height = size
    return Markup(  # every text inside was escaped where it was put in  # noqa: S704
        f'<svg role="img" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
        f'aria-label="{escape(alternative)}">{content}</svg>'
    )
