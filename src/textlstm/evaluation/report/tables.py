"""Tables and dot plots of a report: every number as it is read, with its place on a track."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from textlstm.evaluation.bootstrap import Interval
from textlstm.evaluation.confusion import ConfusedPair, hardest_rows
from textlstm.evaluation.evaluate import MAJORITY, TOGETHER, Evaluation
from textlstm.evaluation.figures import MODEL_NAMES
from textlstm.evaluation.scored_rows import UNKNOWN_LABEL, UNKNOWN_TARGET
from textlstm.evaluation.slices import Slice
from textlstm.figure_text import interval_text, score_text
from textlstm.tracks import Scale, axis, interval_track

METRIC_NAMES = {
    "accuracy": "Accuracy",
    "subset_accuracy": "Subset accuracy (every label right)",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "micro_f1": "Micro F1",
    "weighted_f1": "Weighted F1",
    "macro_precision": "Macro precision",
    "macro_recall": "Macro recall",
    "micro_precision": "Micro precision",
    "micro_recall": "Micro recall",
    "mcc": "Matthews correlation",
    "top_k_accuracy": "Top-{k} accuracy",
    "roc_auc": "ROC-AUC, one label against the rest",
    "average_precision": "Average precision, one label against the rest",
    "log_loss": "Log loss (lower is better)",
    "brier": "Brier score (lower is better)",
    "ranking_loss": "Ranking loss (lower is better)",
    "hamming_loss": "Hamming loss (lower is better)",
}
_MAX_TEXT = 600
_MAX_WRONG = 300
"""Wrong rows on the page; predictions.parquet has all."""
_MAX_PAIR_TEXT = 280
_MAX_PAIRS = 10


class Line(NamedTuple):
    """A figure with its interval, and its place on a track."""

    name: str
    value: str
    interval: str
    track: Markup = Markup()
    note: str = ""
    num_rows: int = 0
    is_own: bool = False


class DotPlot(NamedTuple):
    """Lines over one scale."""

    title: str
    lines: list[Line]
    axis: Markup


class ClassLine(NamedTuple):
    """One class."""

    name: str
    support: int
    precision: str
    recall: str
    f1: str
    interval: str
    track: Markup


class Example(NamedTuple):
    """One row, shown."""

    id: str
    text: str
    label: str
    predicted_label: str
    probability: str


class WrongRows(NamedTuple):
    """The table of wrong rows: those first of which the model was surest."""

    examples: list[Example]
    num_wrong: int
    labels: list[str]
    """True labels that occur, for the filter; a row's place here is its `truth`."""
    predicted_labels: list[str]


class PairLine(NamedTuple):
    """A confusion with examples."""

    pair: ConfusedPair
    examples: list[Example]


def metric_lines(evaluation: Evaluation) -> list[Line]:
    """Return every figure of the model."""
    return list(_lines(evaluation).values())


def _lines(evaluation: Evaluation) -> dict[str, Line]:
    values, intervals = evaluation.metrics.values, evaluation.metrics.intervals
    # With several labels a row, accuracy is subset accuracy under another name.
    skipped = {"accuracy"} if evaluation.rows.is_multi_label else set()
    return {
        name: Line(title.format(k=evaluation.config.top_k), _figure(values[name]), _ends(intervals[name]))
        for name, title in METRIC_NAMES.items()
        if name in values and name not in skipped
    }


def model_plots(evaluation: Evaluation) -> list[DotPlot]:
    """Return accuracy (micro-F1 where a row may have several labels) and macro-F1 of the model and its opponents."""
    models = {TOGETHER: evaluation.metrics, **evaluation.others}
    # The majority class lies so far below that it would squeeze the others; it stands in the table of all figures.
    shown = [name for name in MODEL_NAMES if name in models and name != MAJORITY]
    plots = []
    for figure in (evaluation.main_figure, "macro_f1"):
        entries = [
            (MODEL_NAMES[name], models[name].values[figure], models[name].intervals[figure], 0, "", name == TOGETHER)
            for name in shown
        ]
        plots.append(dot_plot(METRIC_NAMES[figure], entries))
    return plots


def dot_plot(title: str, entries: Sequence[tuple[str, float, Interval | None, int, str, bool]]) -> DotPlot:
    """Return lines of name, value, interval, rows, note and whether it is the model itself, over one scale."""
    ends = [end for _, value, interval, *_ in entries for end in (value, *(interval or ()))]
    scale = Scale.around(ends, most_ticks=7)
    lines = [
        Line(
            name,
            score_text(value),
            _ends(interval),
            interval_track(value, interval, scale, kind="own" if is_own else "", title=f"{name}: {score_text(value)}"),
            note,
            num_rows,
            is_own,
        )
        for name, value, interval, num_rows, note, is_own in entries
    ]
    return DotPlot(title, lines, axis(scale))


def class_lines(evaluation: Evaluation) -> list[ClassLine]:
    """Return every class, the lowest F1 first."""
    counts, names = evaluation.metrics.class_values, (*evaluation.rows.labels, UNKNOWN_LABEL)
    scale = Scale(0.0, 1.0, 0.25)
    return [
        ClassLine(
            name=names[index],
            support=int(counts.support[index]),
            precision=score_text(counts.precision[index]),
            recall=score_text(counts.recall[index]),
            f1=score_text(counts.f1[index]),
            interval=_ends(evaluation.metrics.class_intervals["f1"][index]),
            track=interval_track(
                float(counts.f1[index]),
                evaluation.metrics.class_intervals["f1"][index],
                scale,
                kind="own",
                title=f"F1 {score_text(counts.f1[index])}",
            ),
        )
        for index in np.argsort(counts.f1, kind="stable").tolist()
    ]


def slice_plots(evaluation: Evaluation) -> list[DotPlot]:
    """Return accuracy by what the rows were cut by; classes stand in their own table."""
    # The report marks slices by the same risk that its intervals leave.
    overall, risk = float(evaluation.correct.mean()), 1 - evaluation.config.confidence
    shown = [part for part in evaluation.slices if part.group != "class"]
    return [
        dot_plot(
            group,
            [
                (part.value, part.accuracy, part.interval, part.num_rows, _slice_note(part, overall, risk), False)
                for part in parts
            ],
        )
        for group, parts in groupby(shown, key=lambda part: part.group)
    ]


def _slice_note(part: Slice, overall: float, risk: float) -> str:
    # A small slice is only flagged as such, whatever its test says.
    if part.is_small:
        return "few rows"
    if part.p_value < risk:
        return "below the rest" if part.accuracy < overall else "above the rest"
    return ""


class ModelFigures(NamedTuple):
    """One model of the table of all models."""

    name: str
    is_own: bool
    figures: list[Line]


def model_figures(evaluation: Evaluation) -> list[ModelFigures]:
    """Return every model with the figures that all of them have."""
    models = {TOGETHER: evaluation.metrics, **evaluation.others}
    return [
        ModelFigures(
            title,
            name == TOGETHER,
            [
                Line(
                    metric,
                    _figure(models[name].values.get(metric, np.nan)),
                    _ends(models[name].intervals.get(metric)),
                )
                for metric in (evaluation.main_figure, "macro_f1", "log_loss")
            ],
        )
        for name, title in MODEL_NAMES.items()
        if name in models
    ]


def wrong_rows(evaluation: Evaluation, *, include_text: bool) -> WrongRows:
    """Return the wrong rows of which the model was surest."""
    chosen = hardest_rows(evaluation.correct, evaluation.confidences, limit=_MAX_WRONG)
    examples = [example(evaluation, row, include_text=include_text) for row in chosen]
    return WrongRows(
        examples,
        int((~evaluation.correct).sum()),
        sorted({entry.label for entry in examples}),
        sorted({entry.predicted_label for entry in examples}),
    )


def pair_lines(evaluation: Evaluation, *, include_text: bool) -> list[PairLine]:
    """Return the most confused pairs with examples."""
    return [
        PairLine(
            pair,
            [example(evaluation, row, include_text=include_text, max_chars=_MAX_PAIR_TEXT) for row in pair.examples],
        )
        for pair in evaluation.confused[:_MAX_PAIRS]
    ]


def example(evaluation: Evaluation, row: int, *, include_text: bool, max_chars: int = _MAX_TEXT) -> Example:
    """Return one row as it is shown: white space collapsed, and no more than `max_chars` of the text."""
    rows, text = evaluation.rows, ""
    if include_text:
        text = " ".join(rows.texts[row].split())
        if len(text) > max_chars:
            text = f"{text[:max_chars]}… ({len(rows.texts[row]):,} characters)"
    return Example(
        id=rows.ids[row],
        text=text,
        label=_label_names(evaluation, rows.targets[row]),
        predicted_label=_label_names(evaluation, evaluation.predictions[row]),
        probability=f"{evaluation.confidences[row]:.3f}",
    )


def _label_names(evaluation: Evaluation, target: np.generic | np.ndarray) -> str:
    labels = evaluation.rows.labels
    if np.ndim(target) == 0:
        return UNKNOWN_LABEL if int(target) == UNKNOWN_TARGET else labels[int(target)]
    return ", ".join(labels[index] for index in np.flatnonzero(target)) or "(none)"


def _figure(value: float) -> str:
    return score_text(value) if np.isfinite(value) else "–"


def _ends(interval: Interval | None) -> str:
    return "" if interval is None or not np.isfinite(interval.low) else interval_text(*interval)
