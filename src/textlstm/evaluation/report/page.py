"""`report.html`: one page that holds everything and shows data as text whatever it says.

Its first screen answers four questions in words (`answers.py`); the figures follow. One small script filters the table
of wrong rows; the page holds as much without it.
"""

from collections.abc import Mapping, Sequence

from textlstm.evaluation.confusion import num_flipped
from textlstm.evaluation.evaluate import MAJORITY, Evaluation
from textlstm.evaluation.report.answers import answers, choices
from textlstm.evaluation.report.confusion_matrix import confusion_matrix
from textlstm.evaluation.report.inputs import ClassWords, EpochPoint, Link
from textlstm.evaluation.report.pictures import calibration_of, coverage_picture, epoch_pictures
from textlstm.evaluation.report.tables import (
    class_lines,
    metric_lines,
    model_figures,
    model_plots,
    pair_lines,
    slice_plots,
    wrong_rows,
)
from textlstm.html_pages import fill_template
from textlstm.tracks import BarLine, bar_lines

_PAGE, _STYLE, _SCRIPT = "report.html.jinja", "report.css", "report.js"
_MOST_WORDS = 6


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
        "class_words": [(entry, _word_bars(entry)) for entry in class_words] if include_text else [],
        "include_text": include_text,
        "links": links,
        "epochs": epoch_pictures(epochs, best_epoch),
        "best_epoch": best_epoch,
    }
    page = fill_template("textlstm.evaluation.report", _PAGE, style=_STYLE, script=_SCRIPT, values=values)
    return page.encode("utf-8", "replace")


def _word_bars(entry: ClassWords) -> list[BarLine]:
    """Return the words that count most for a class."""
    return bar_lines([(word.name, word.total) for word in entry.words], most=_MOST_WORDS)
