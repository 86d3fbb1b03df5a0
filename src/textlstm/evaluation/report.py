"""`report.html`: one page that holds everything, runs nothing, and shows data as text whatever it says."""

import base64
from collections.abc import Mapping, Sequence

from textlstm.evaluation.class_words import ClassWords
from textlstm.evaluation.drawing import Picture
from textlstm.evaluation.evaluate import Evaluation
from textlstm.evaluation.removal import num_flipped
from textlstm.evaluation.report_parts import (
    class_lines,
    example,
    headline,
    metric_lines,
    model_lines,
    pair_lines,
    slice_groups,
)
from textlstm.html_pages import fill_template

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
