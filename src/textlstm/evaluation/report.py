"""`report.html`: one page that holds everything and shows data as text whatever it says.

Its first screen answers four questions in words (`answers.py`); the figures follow. One small script filters the table
of wrong rows; the page holds as much without it.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from textlstm.evaluation.answers import answers, choices
from textlstm.evaluation.bootstrap import Interval
from textlstm.evaluation.calibration import equal_count_bins
from textlstm.evaluation.charts import Curve, calibration_chart, confusion_matrix, curves
from textlstm.evaluation.confusion import ConfusedPair, hardest_rows, num_flipped
from textlstm.evaluation.evaluate import MAJORITY, TOGETHER, Evaluation
from textlstm.evaluation.figures import MODEL_NAMES
from textlstm.evaluation.scored_rows import UNKNOWN_LABEL, UNKNOWN_TARGET
from textlstm.evaluation.slices import Slice
from textlstm.figure_text import interval_text, percent_text, score_text
from textlstm.html_pages import fill_template
from textlstm.tracks import Scale, axis, bar_track, interval_track

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


# The training behind the model, and the pages beside the report.


class EpochPoint(NamedTuple):
    """One epoch of the training; validation figures are NaN where no validation rows were held out."""

    epoch: int
    train_loss: float
    validation_loss: float
    macro_f1: float


class Link(NamedTuple):
    """A page that belongs to the report."""

    name: str
    address: str
    """Relative to the report, or an address of a server."""


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
_MAX_WRONG = 300
"""Wrong rows on the page; predictions.parquet has all."""
_MAX_WORDS = 6
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


class WordLine(NamedTuple):
    """A word that counts for a class."""

    word: str
    bar: Markup
    weight: str
    num_occurrences: int


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
        plots.append(_dot_plot(METRIC_NAMES[figure], entries))
    return plots


def _dot_plot(title: str, entries: Sequence[tuple[str, float, Interval, int, str, bool]]) -> DotPlot:
    """Return lines of name, value, interval, rows, note and whether it is the model itself, over one scale."""
    ends = [end for _, value, interval, *_ in entries for end in (value, *interval)]
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
        _dot_plot(
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


def word_lines(entry: ClassWords) -> list[WordLine]:
    """Return the words that count most for a class, each with a bar."""
    shown = [word for word in entry.words if word.total > 0][:_MAX_WORDS]
    largest = max((word.total for word in shown), default=1.0)
    return [
        WordLine(
            word.name,
            bar_track(word.total / largest, kind="own", title=f"{word.total:.3f}"),
            f"{word.total:.2f}",
            word.num_occurrences,
        )
        for word in shown
    ]


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


_PAGE, _STYLE, _SCRIPT = "report.html.jinja", "report.css", "report.js"


def render_report(
    evaluation: Evaluation,
    *,
    title: str,
    details: Mapping[str, str],
    include_text: bool,
    class_words: Sequence[ClassWords] = (),
    links: Sequence[Link] = (),
    epochs: Sequence[EpochPoint] = (),
    best_epoch: int | None = None,
) -> bytes:
    """Return the page as UTF-8.

    Its content security policy allows one style sheet and one script, both named by their hash; nothing else.

    Args:
        evaluation: what to show.
        title: heading.
        details: names and values shown under the heading.
        include_text: whether texts of rows are shown; without, rows are named by id alone.
        class_words: what counts for each class, shown where texts may be.
        links: pages that belong to the report.
        epochs: the training of the model; empty where it is not known.
        best_epoch: the epoch that was chosen, 1 for the first.
    """
    matrix = None
    if evaluation.confusion is not None:
        # The last row holds unknown labels, which no column has.
        matrix = confusion_matrix(evaluation.rows.labels, evaluation.confusion[: len(evaluation.rows.labels)])
    values: dict[str, object] = {
        "title": title,
        "details": details,
        "evaluation": evaluation,
        "answers": answers(evaluation),
        "plots": model_plots(evaluation),
        "verdicts": [
            comparison
            for name, comparison in zip(evaluation.others, evaluation.comparisons, strict=True)
            if name != MAJORITY
        ],
        "models": model_figures(evaluation),
        "metrics": metric_lines(evaluation),
        "classes": class_lines(evaluation),
        "matrix": matrix,
        "choices": choices(evaluation),
        "calibration": calibration_of(evaluation),
        "coverage": coverage_picture(evaluation),
        "slices": slice_plots(evaluation),
        "wrong": wrong_rows(evaluation, include_text=include_text),
        "pairs": pair_lines(evaluation, include_text=include_text),
        "removed": evaluation.removed if include_text else [],
        "num_flipped": num_flipped(evaluation.rows),
        "class_words": [(entry, word_lines(entry)) for entry in class_words] if include_text else [],
        "include_text": include_text,
        "links": links,
        "epochs": epoch_pictures(epochs, best_epoch),
        "best_epoch": best_epoch,
    }
    page = fill_template("textlstm.evaluation", _PAGE, style=_STYLE, script=_SCRIPT, values=values)
    return page.encode("utf-8", "replace")


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
