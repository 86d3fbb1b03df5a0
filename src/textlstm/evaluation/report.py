"""`report.html`: one page that holds everything, runs nothing, and shows data as text whatever it says."""

import base64
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from textlstm.evaluation.bootstrap import Interval
from textlstm.evaluation.confusion import ConfusedPair, num_flipped
from textlstm.evaluation.evaluate import TOGETHER, Evaluation
from textlstm.evaluation.figures import MODEL_NAMES, Picture
from textlstm.evaluation.scored_rows import UNKNOWN_LABEL, UNKNOWN_TARGET
from textlstm.evaluation.slices import Slice
from textlstm.figure_text import interval_text, score_text
from textlstm.html_pages import fill_template

# Which words and parts of speech count for each class, as the report shows them.


class WordWeight(NamedTuple):
    """A word or part of speech over the texts of one class."""

    name: str
    num_occurrences: int
    total: float
    """Summed share in the log-odds of the class."""


class ClassWords(NamedTuple):
    """What the explained texts of one predicted label have in common."""

    label: str
    num_texts: int
    words: tuple[WordWeight, ...]
    """By falling total."""
    pos: tuple[WordWeight, ...]
    """By falling total; empty where the model's texts are not tagged."""


# Lines of the report's tables: numbers as they are read.

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
_MAX_PAIR_TEXT = 280
_MAX_PAIRS = 10


class Line(NamedTuple):
    """A figure with its interval."""

    name: str
    value: str
    interval: str


class ModelLine(NamedTuple):
    """One model of the comparison table."""

    name: str
    is_own: bool
    figures: list[Line]


class ClassLine(NamedTuple):
    """One class."""

    name: str
    support: int
    precision: str
    recall: str
    f1: str
    interval: str


class Example(NamedTuple):
    """One row, shown."""

    id: str
    text: str
    label: str
    predicted_label: str
    probability: str


class PairLine(NamedTuple):
    """A confusion with examples."""

    pair: ConfusedPair
    examples: list[Example]


class SliceLine(NamedTuple):
    """A slice, shown."""

    part: Slice
    accuracy: str
    interval: str
    note: str


def headline(evaluation: Evaluation) -> list[Line]:
    """Return the figures that stand on top."""
    # The main figures of the task, then how well probabilities are calibrated and how many rows there are.
    chosen = ("micro_f1", "macro_f1", "subset_accuracy") if evaluation.rows.is_multi_label else ("accuracy", "macro_f1")
    lines = [line for name, line in _lines(evaluation).items() if name in chosen]
    lines.append(Line("Calibration error", score_text(evaluation.reliability.expected_error), "expected, 0 is perfect"))
    return [*lines, Line("Rows", f"{evaluation.rows.num_rows:,}", f"{len(evaluation.rows.labels)} labels")]


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


def model_lines(evaluation: Evaluation) -> list[ModelLine]:
    """Return the model, its branches and its opponents with the figures that all of them have."""
    first = "micro_f1" if evaluation.rows.is_multi_label else "accuracy"
    models = {TOGETHER: evaluation.metrics, **evaluation.others}
    return [
        ModelLine(
            title,
            name == TOGETHER,
            [
                Line(
                    metric,
                    _figure(models[name].values.get(metric, np.nan)),
                    _ends(models[name].intervals.get(metric)),
                )
                for metric in (first, "macro_f1", "log_loss")
            ],
        )
        for name, title in MODEL_NAMES.items()
        if name in models
    ]


def class_lines(evaluation: Evaluation) -> list[ClassLine]:
    """Return every class, the lowest F1 first."""
    counts, names = evaluation.metrics.class_values, (*evaluation.rows.labels, UNKNOWN_LABEL)
    return [
        ClassLine(
            name=names[index],
            support=int(counts.support[index]),
            precision=score_text(counts.precision[index]),
            recall=score_text(counts.recall[index]),
            f1=score_text(counts.f1[index]),
            interval=_ends(evaluation.metrics.class_intervals["f1"][index]),
        )
        for index in np.argsort(counts.f1, kind="stable")
    ]


def slice_groups(evaluation: Evaluation) -> list[tuple[str, list[SliceLine]]]:
    """Return slices by what the rows were cut by; classes stand in their own table."""
    # The report marks slices by the same risk that its intervals leave.
    overall = float(evaluation.correct.mean())
    risk = 1 - evaluation.config.confidence
    shown = [part for part in evaluation.slices if part.group != "class"]
    return [
        (group, [_slice_line(part, overall=overall, risk=risk) for part in parts])
        for group, parts in groupby(shown, key=lambda part: part.group)
    ]


def _slice_line(part: Slice, *, overall: float, risk: float) -> SliceLine:
    note = ""
    # A small slice is only flagged as such, whatever its test says.
    if part.is_small:
        note = "few rows"
    elif part.p_value < risk:
        note = "below the rest, beyond chance" if part.accuracy < overall else "above the rest, beyond chance"
    return SliceLine(part, score_text(part.accuracy), _ends(part.interval), note)


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


_PAGE, _STYLE = "report.html.jinja", "report.css"


def render_report(
    evaluation: Evaluation,
    pictures: Sequence[Picture],
    *,
    title: str,
    details: Mapping[str, str],
    include_text: bool,
    class_words: Sequence[ClassWords] = (),
) -> bytes:
    """Return the page as UTF-8.

    Its content security policy allows one style sheet, named by its hash, and images inside the page; nothing else.

    Args:
        evaluation: what to show.
        pictures: the figures, shown as images inside the page.
        title: heading.
        details: names and values shown under the heading.
        include_text: whether texts of rows are shown; without, rows are named by id alone.
        class_words: what counts for each class, shown where texts may be.
    """
    values: dict[str, object] = {
        "title": title,
        "details": details,
        "evaluation": evaluation,
        "figures": {picture.name: {"source": _data_uri(picture), "alt": picture.alternative} for picture in pictures},
        "headline": headline(evaluation),
        "models": model_lines(evaluation),
        "metrics": metric_lines(evaluation),
        "classes": class_lines(evaluation),
        "slices": slice_groups(evaluation),
        "hardest": [example(evaluation, row, include_text=include_text) for row in evaluation.hardest],
        "pairs": pair_lines(evaluation, include_text=include_text),
        "removed": evaluation.removed if include_text else [],
        "num_flipped": num_flipped(evaluation.rows),
        "class_words": class_words if include_text else (),
        "include_text": include_text,
    }
    page = fill_template("textlstm.evaluation", _PAGE, style=_STYLE, values=values)
    return page.encode("utf-8", "replace")


def _data_uri(picture: Picture) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.svg).decode()}"
