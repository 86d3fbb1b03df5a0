"""Pictures of a report: calibration, risk over coverage, and the training's epochs."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from textlstm.evaluation.calibration import equal_count_bins
from textlstm.evaluation.evaluate import Evaluation
from textlstm.evaluation.report.charts import Curve, calibration_chart, curves
from textlstm.evaluation.report.inputs import EpochPoint
from textlstm.figure_text import percent_text
from textlstm.tracks import Scale


class Calibration(NamedTuple):
    """How often decisions of each stated probability are right, in bins of equal count."""

    picture: Markup
    lines: list[tuple[str, str, str, int]]
    """Stated, right, interval of right, decisions."""


def calibration_of(evaluation: Evaluation) -> Calibration:
    """Return picture and table of the bins; empty where there are fewer than ten decisions."""
    rows = evaluation.rows
    bins = equal_count_bins(rows.targets, rows.probabilities, task=rows.task, confidence=evaluation.config.confidence)
    error = evaluation.reliability.expected_error
    alternative = f"Calibration in {len(bins)} bins of equal count: expected error {error:.4f}."
    lines = [
        (
            percent_text(each.stated),
            percent_text(each.right),
            f"{percent_text(each.interval.low)} to {percent_text(each.interval.high)}",
            each.num_decisions,
        )
        for each in bins
    ]
    return Calibration(calibration_chart(bins, alternative=alternative) if bins else Markup(), lines)


def coverage_picture(evaluation: Evaluation) -> Markup:
    """Return the error of the rows that are decided, for every share of rows decided."""
    curve, found = evaluation.coverage, evaluation.abstention
    marks = []
    if found is not None and found.num_accepted:
        decided, wrong = percent_text(found.coverage), percent_text(found.error)
        title = f"threshold {found.threshold:.3f}: decides {decided}, wrong {wrong}"
        marks.append((found.coverage, found.error, title))
    # A curve of thousands of rows is thinned: a point a pixel is enough.
    chosen = np.unique(np.linspace(0, len(curve.coverage) - 1, 360).astype(int))
    return curves(
        [Curve(curve.coverage[chosen].tolist(), curve.risk[chosen].tolist(), "own")],
        across=Scale(0.0, 1.0, 0.25),
        up=Scale.around([0.0, float(np.quantile(curve.risk, 0.995)), float(curve.risk[-1])]),
        names=("share of the rows that it decides, the surest first", "wrong among them"),
        alternative=f"Risk-coverage curve: {curve.risk[-1]:.1%} of all rows are wrong; area {curve.area:.4f}.",
        marks=marks,
        percent=True,
    )


def epoch_pictures(epochs: Sequence[EpochPoint], best_epoch: int | None) -> list[Markup]:
    """Return validation macro-F1 and the losses over epochs with the chosen epoch marked; empty for one epoch."""
    if len(epochs) < 2:
        return []
    numbers = [float(point.epoch) for point in epochs]
    step = max(1, -(-len(epochs) // 8))
    across = Scale(numbers[0], numbers[-1], float(step))
    if (numbers[-1] - numbers[0]) % step:
        across = Scale(numbers[0], numbers[0] + step * -(-(numbers[-1] - numbers[0]) // step), float(step))
    pictures = []
    scores = [point.macro_f1 for point in epochs]
    best = next((point for point in epochs if point.epoch == best_epoch), None)
    if np.isfinite(scores).all():
        mark = [(float(best.epoch), best.macro_f1, f"chosen: epoch {best.epoch}")] if best else []
        pictures.append(
            curves(
                [Curve(numbers, scores, "own", "validation macro-F1")],
                across=across,
                up=Scale.around(scores),
                names=("epoch", ""),
                alternative=f"Validation macro-F1 over {len(epochs)} epochs; epoch {best_epoch} was chosen.",
                marks=mark,
                whole_numbers=True,
            )
        )
    losses = [point.train_loss for point in epochs]
    held_out = [point.validation_loss for point in epochs]
    lines = [Curve(numbers, losses, "other", "training loss")]
    if np.isfinite(held_out).all():
        lines.append(Curve(numbers, held_out, "own", "validation loss"))
    highest = max(value for line in lines for value in line.y)
    pictures.append(
        curves(
            lines,
            across=across,
            up=Scale.around([0.0, highest], most=max(1.0, 1.1 * highest)),
            names=("epoch", ""),
            alternative=f"Losses over {len(epochs)} epochs.",
            whole_numbers=True,
        )
    )
    return pictures
