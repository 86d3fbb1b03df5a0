"""`curve.html`: accuracy over the number of training rows, written after each size, so that it tells how far it is."""

from collections.abc import Sequence

from textlstm.evaluation.bootstrap import Interval
from textlstm.evaluation.learning_curve import CurvePoint, PowerLaw
from textlstm.evaluation.report.tables import DotPlot, dot_plot
from textlstm.figure_text import fixed
from textlstm.html_pages import fill_template

_PAGE, _STYLE = "curve.html.jinja", "report.css"


def what_more_rows_bring(points: Sequence[CurvePoint], law: PowerLaw | None, *, figure_name: str) -> str:
    """Return the sentence that a curve ends with."""
    if law is None:
        return f"The {figure_name} does not rise with the rows here, so nothing can be said of more."
    gain = law.gain_of_twice(points[-1].num_rows)
    return (
        f"Twice the rows would bring about {fixed(100 * gain, 1, sign=True)} points of {figure_name}, "
        "if the line through these sizes goes on."
    )


def render_curve(
    points: Sequence[CurvePoint], law: PowerLaw | None, *, sizes: Sequence[int], figure_name: str, title: str
) -> bytes:
    """Return the page as UTF-8.

    Args:
        points: of the sizes that are trained, rising.
        law: the line through them; None where there is none.
        sizes: all numbers of training rows, rising.
        figure_name: accuracy or micro-F1.
        title: heading.
    """
    left = sizes[len(points) :]
    sentence = what_more_rows_bring(points, law, figure_name=figure_name)
    # A line needs two sizes.
    if left and len(points) < 2:
        sentence = "Not known yet."
    page = fill_template(
        "textlstm.evaluation.report",
        _PAGE,
        style=_STYLE,
        values={
            "title": title,
            "law": law,
            "sentence": sentence,
            "num_done": len(points),
            "num_left": len(left),
            "next_rows": left[0] if left else 0,
            "figure_name": figure_name,
            "plot": _plot(points, figure_name) if points else None,
        },
    )
    return page.encode("utf-8", "replace")


def _plot(points: Sequence[CurvePoint], figure_name: str) -> DotPlot:
    """Return a line a size for the model and, without an interval, one for the baseline."""
    entries = list[tuple[str, float, Interval | None, int, str, bool]]()
    for point in points:
        entries.append((f"{point.num_rows:,} rows", point.value, point.interval, 0, "", True))
        if point.baseline is not None:
            entries.append(("TF-IDF baseline", point.baseline, None, 0, "", False))
    return dot_plot(figure_name, entries)
