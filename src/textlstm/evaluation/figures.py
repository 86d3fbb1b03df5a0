"""The figures of an evaluation."""

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from textlstm.evaluation.bootstrap import Interval
from textlstm.evaluation.calibration import ReliabilityBins
from textlstm.evaluation.evaluate import BASELINE, CHAMPION, EXPERT, MAJORITY, RECURRENT, TOGETHER, Evaluation
from textlstm.evaluation.scored_rows import UNKNOWN_LABEL, Integers

# How every figure looks, and how it becomes bytes that are the same on every run.

# Okabe and Ito's palette: distinct for every common form of color blindness, and in grey by lightness.
BLUE, ORANGE, GREEN, GREY, BLACK = "#0072B2", "#D55E00", "#009E73", "#8A8A8A", "#222222"

_STYLE = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "text.parse_math": False,  # a label such as $x$ is a label
    "svg.hashsalt": "textlstm",
    "svg.fonttype": "path",
}


class Picture(NamedTuple):
    """A figure as it is stored and shown."""

    name: str
    """File name without ending."""
    alternative: str
    """What it shows, in words, for those who cannot see it."""
    svg: bytes
    png: bytes


def draw(name: str, alternative: str, *, size: tuple[float, float], paint: Callable[[Figure], None]) -> Picture:
    """Return what `paint` puts on a fresh figure of `size` (width, height in inches)."""
    with _quiet_style():
        figure = Figure(figsize=size, layout="constrained")
        paint(figure)
        svg, png = io.BytesIO(), io.BytesIO()
        # Without dates and program names, equal figures are equal bytes.
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        figure.savefig(png, format="png", metadata={"Software": None}, dpi=150)
    return Picture(name, alternative, svg.getvalue(), png.getvalue())


def printable(label: str, *, max_chars: int = 28) -> str:
    """Return `label` for a figure: cut to `max_chars`, characters that cannot be drawn as a middle dot."""
    shown = "".join(character if character.isprintable() else "·" for character in label)
    return shown if len(shown) <= max_chars else f"{shown[: max_chars - 1]}…"


@contextmanager
def _quiet_style() -> Iterator[None]:
    with rc_context(_STYLE), warnings.catch_warnings():  # type: ignore[arg-type]
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


MODEL_NAMES = {
    TOGETHER: "The model",
    RECURRENT: "Recurrent branch alone",
    EXPERT: "Linear expert alone",
    BASELINE: "TF-IDF baseline",
    CHAMPION: "Champion",
    MAJORITY: "Majority class",
}
"""Names of models in figures and tables."""

_MAX_CLASSES = 30
_MAX_MATRIX = 25


def draw_figures(evaluation: Evaluation) -> Iterator[Picture]:
    """Yield every figure that this evaluation has data for."""
    yield _models(evaluation)
    yield _reliability(evaluation)
    yield _risk_coverage(evaluation)
    yield _classes(evaluation)
    if evaluation.confusion is not None:
        yield _confusion(evaluation.rows.labels, evaluation.confusion)


def _models(evaluation: Evaluation) -> Picture:
    """Accuracy and macro F1 of the model, its branches and its opponents."""
    models = {TOGETHER: evaluation.metrics, **evaluation.others}
    shown = [name for name in MODEL_NAMES if name in models and name != MAJORITY]  # it would squeeze the others
    metrics = (evaluation.main_figure, "macro_f1")

    def paint(figure: Figure) -> None:
        for axes, metric in zip(np.atleast_1d(figure.subplots(1, 2, sharey=True)), metrics, strict=True):
            # One axis a figure, one line a model, the evaluated model in color.
            values = [models[name].values[metric] for name in shown]
            intervals = [models[name].intervals[metric] for name in shown]
            colors = [BLUE if name == TOGETHER else GREY for name in shown]
            _dots(axes, [MODEL_NAMES[name] for name in shown], values, intervals=intervals, colors=colors)
            axes.set_xlabel(metric.replace("_", " ").replace("f1", "F1"))

    words = "; ".join(f"{MODEL_NAMES[name]} {models[name].values[metrics[0]]:.3f}" for name in shown)
    alternative = f"{metrics[0].replace('_', ' ')} with intervals: {words}."
    return draw("models", alternative, size=(7.6, 0.9 + 0.34 * len(shown)), paint=paint)


def _reliability(evaluation: Evaluation) -> Picture:
    """How often decisions of each stated probability are right, before and after the temperature."""
    after, before = evaluation.reliability, evaluation.reliability_before

    def paint(figure: Figure) -> None:
        # The diagram above, the number of decisions in each bin below.
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 1], [0, 1], color=BLACK, linewidth=0.8, linestyle=":", label="perfect")
        if before is not None:
            _bin_line(upper, before, color=ORANGE, marker="s", label=f"before, ECE {before.expected_error:.3f}")
        _bin_line(upper, after, color=BLUE, marker="o", label=f"after, ECE {after.expected_error:.3f}")
        upper.set_ylabel("share right")
        upper.legend(loc="upper left", frameon=False)
        edges = np.linspace(0, 1, len(after.counts) + 1)
        lower.bar((edges[:-1] + edges[1:]) / 2, after.counts, width=0.9 / len(after.counts), color=BLUE, alpha=0.6)
        lower.set_ylabel("decisions")
        lower.set_xlabel("stated probability")
        lower.set_xlim(0, 1)

    alternative = f"Reliability diagram: expected calibration error {after.expected_error:.3f}"
    if before is not None:
        alternative += f", {before.expected_error:.3f} before the temperature"
    return draw("reliability", f"{alternative}.", size=(4.6, 4.2), paint=paint)


def _bin_line(axes: Axes, bins: ReliabilityBins, *, color: str, marker: str, label: str) -> None:
    filled = bins.counts > 0
    axes.plot(
        bins.mean_confidence[filled],
        bins.share_correct[filled],
        color=color,
        marker=marker,
        markersize=4,
        linewidth=1.2,
        label=label,
    )


def _risk_coverage(evaluation: Evaluation) -> Picture:
    """Error of the rows that are accepted, for every share of rows accepted."""
    curve, abstention = evaluation.coverage, evaluation.abstention

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot(curve.coverage, 100 * curve.risk, color=BLUE, linewidth=1.4)
        if abstention is not None and abstention.num_accepted:
            share = 100 * abstention.error
            axes.plot([abstention.coverage], [share], "o", color=ORANGE, label=f"threshold {abstention.threshold:.3f}")
            if abstention.max_error:
                axes.axhline(100 * abstention.max_error, color=GREEN, linestyle="--", linewidth=1, label="guaranteed")
            axes.legend(loc="upper left", frameon=False)
        axes.set_xlabel("coverage: share of rows accepted, most certain first")
        axes.set_ylabel("wrong among accepted, %")
        axes.set_xlim(0, 1)
        axes.set_ylim(bottom=0)

    error = float(curve.risk[-1])
    alternative = f"Risk-coverage curve: {error:.1%} of all rows are wrong; area {curve.area:.4f}."
    return draw("risk_coverage", alternative, size=(4.6, 4.2), paint=paint)


def _classes(evaluation: Evaluation) -> Picture:
    """F1 of each class with its interval; of many classes, the lowest."""
    names = (*evaluation.rows.labels, UNKNOWN_LABEL)
    f1, intervals = evaluation.metrics.class_values.f1, evaluation.metrics.class_intervals["f1"]
    present = np.flatnonzero(evaluation.metrics.class_values.present)
    # The lowest classes, turned round so that the lowest stands at the bottom.
    order = present[np.argsort(f1[present], kind="stable")][:_MAX_CLASSES][::-1]

    def paint(figure: Figure) -> None:
        labels = [printable(names[index]) for index in order]
        values, ends = [float(f1[index]) for index in order], [intervals[index] for index in order]
        axes = figure.subplots()
        _dots(axes, labels, values, intervals=ends, colors=[BLUE] * len(order))
        axes.set_xlabel("F1")
        axes.set_xlim(-0.02, 1.02)

    which = "every class" if len(order) == len(present) else f"the {len(order)} lowest of {len(present)} classes"
    worst = f"; lowest: {names[order[-1]]} {f1[order[-1]]:.3f}" if len(order) else ""
    return draw("classes", f"F1 of {which}{worst}.", size=(5.6, 0.9 + 0.24 * len(order)), paint=paint)


def _confusion(labels: Sequence[str], counts: Integers) -> Picture:
    """Share of each true label's rows by predicted label; of many labels, those confused most."""
    num_labels = len(labels)
    # Leave out the row of unknown labels, and choose the labels with most counts off the diagonal.
    known = counts[:num_labels]
    off = known - np.diag(np.diag(known))
    order = np.sort(np.argsort(-(off.sum(axis=0) + off.sum(axis=1)), kind="stable")[:_MAX_MATRIX])
    shown = known[np.ix_(order, order)]
    # Shares are of all rows of the true label, also of those in columns that are not shown.
    share = shown / np.maximum(known[order].sum(axis=1, keepdims=True), 1)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        axes.grid(visible=False)
        ticks = [printable(labels[index], max_chars=20) for index in order]
        axes.set_xticks(range(len(order)), ticks, rotation=90 if len(order) > 6 else 0)
        axes.set_yticks(range(len(order)), ticks)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        # Dark cells get white numbers; empty cells get none.
        for row, column in zip(*np.nonzero(shown), strict=True):
            color = "white" if share[row, column] > 0.55 else BLACK
            size = 8 if len(order) <= 12 else 5.5
            text = f"{shown[row, column]}"
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=size)
        figure.colorbar(image, shrink=0.7, label="share of the true label's rows")

    which = "every label" if len(order) == num_labels else f"the {len(order)} of {num_labels} labels confused most"
    side = max(3.2, 1.9 + 0.27 * len(order))
    alternative = f"Confusion matrix of {which}: {int(off.sum())} of {int(known.sum())} rows are off the diagonal."
    return draw("confusion", alternative, size=(side + 1.0, side), paint=paint)


def _dots(
    axes: Axes, names: Sequence[str], values: Sequence[float], *, intervals: Sequence[Interval], colors: Sequence[str]
) -> None:
    """One line a name, the first on top: a dot with its interval."""
    positions = range(len(names))
    for position, value, interval, color in zip(positions, values, intervals, colors, strict=True):
        axes.plot([interval.low, interval.high], [position, position], color=color, linewidth=2.2, alpha=0.5)
        axes.plot([value], [position], "o", color=color, markersize=5)
    axes.set_yticks(positions, names)
    # The axis runs downwards, so the first name stands on top.
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
