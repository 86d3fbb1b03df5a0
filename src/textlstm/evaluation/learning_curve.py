"""Accuracy over the number of training rows: the sizes to try, a fitted line, and its figure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from textlstm.evaluation.bootstrap import Interval
from textlstm.evaluation.figures import BLUE, GREY, ORANGE, Picture, draw

_FITTED_POINTS = 4
"""At most this many of the largest sizes decide the line: errors follow a power of the rows only once rows are many."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Figures of the test rows after training on `num_rows` rows."""

    num_rows: int
    value: float
    """Accuracy; micro-F1 where a row may have several labels."""
    interval: Interval
    macro_f1: float
    baseline: float | None
    """The same figure of the baseline; None without one."""


class PowerLaw(NamedTuple):
    """Error as `scale * rows ** -exponent`, the usual shape of learning curves (Hestness et al. 2017)."""

    scale: float
    exponent: float

    def value(self, num_rows: float) -> float:
        """Return the accuracy that the line has at `num_rows` rows."""
        return float(1.0 - self.scale * num_rows**-self.exponent)

    def gain_of_twice(self, num_rows: int) -> float:
        """Return what twice the rows would add to the accuracy."""
        return self.value(2 * num_rows) - self.value(num_rows)


def curve_sizes(num_rows: int, *, num_points: int, fewest: int) -> list[int]:
    """Return the numbers of training rows to try, rising: all, a half, a quarter, ... and none below `fewest`.

    >>> curve_sizes(1000, num_points=4, fewest=200)
    [250, 500, 1000]
    """
    halved = (math.ceil(num_rows / 2**step) for step in range(num_points))
    return sorted({size for size in halved if size >= min(fewest, num_rows)})


def fit_power_law(points: Sequence[CurvePoint]) -> PowerLaw | None:
    """Return the line through the largest sizes, least squares of logarithms; None where errors do not fall.

    A size without an error counts as one with half the error that its interval leaves possible.
    """
    used = points[-_FITTED_POINTS:]
    if len(used) < 2:
        return None
    errors = [max(1 - point.value, (1 - point.interval.low) / 2 if point.value == 1 else 0.0) for point in used]
    if min(errors) <= 0:
        return None
    slope, intercept = np.polyfit(np.log([point.num_rows for point in used]), np.log(errors), 1)
    return PowerLaw(float(np.exp(intercept)), float(-slope)) if slope < 0 else None


def draw_curve(points: Sequence[CurvePoint], law: PowerLaw | None, *, figure_name: str) -> Picture:
    """Return the figure: a dot with its interval a size, the baseline beside it, the line up to twice the rows."""
    rows = [point.num_rows for point in points]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.set_xscale("log", base=2)
        lows, highs = zip(*(point.interval for point in points), strict=True)
        axes.vlines(rows, lows, highs, color=BLUE, linewidth=2.2, alpha=0.5)
        axes.plot(rows, [point.value for point in points], "o", color=BLUE, label="the model")
        baseline = [point.baseline for point in points if point.baseline is not None]
        if len(baseline) == len(points):
            axes.plot(rows, baseline, "s", color=GREY, markersize=4, label="TF-IDF baseline")
        # The line is dashed where it leaves the rows that were there.
        if law is not None:
            inside, beyond = np.geomspace(rows[0], rows[-1], 50), np.geomspace(rows[-1], 2 * rows[-1], 20)
            axes.plot(inside, [law.value(size) for size in inside], color=BLUE, linewidth=1)
            axes.plot(beyond, [law.value(size) for size in beyond], color=ORANGE, linewidth=1, linestyle="--")
            axes.plot([2 * rows[-1]], [law.value(2 * rows[-1])], "o", mfc="white", color=ORANGE, label="twice the rows")
        ticks = [*rows, 2 * rows[-1]]
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("training rows")
        axes.set_ylabel(figure_name)
        axes.legend(loc="lower right", frameon=False)

    words = "; ".join(f"{point.num_rows:,} rows {point.value:.3f}" for point in points)
    return draw("curve", f"{figure_name} over training rows: {words}.", size=(6.4, 4.0), paint=paint)
