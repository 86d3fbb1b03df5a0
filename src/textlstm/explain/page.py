"""The page: everything in one file, no script, and texts shown as text whatever they say."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from textlstm.explain.attribution import Method
from textlstm.explain.explanation import CellView, Explanation
from textlstm.explain.faithfulness import Faithfulness
from textlstm.explain.gates import TOLERANCE
from textlstm.explain.pictures import (
    StripRow,
    deletion_chart,
    half_life_chart,
    heat_strip,
    incremental_chart,
    levels_of,
    strip_rows,
)
from textlstm.explain.summary import ClassView, CorpusView
from textlstm.html_pages import fill_template
from textlstm.tracks import BarLine, bar_lines

_PACKAGE = "textlstm.explain"
_PAGE, _STYLE = "page.html.jinja", "page.css"
_TABLE_ROWS = 25
_MOST_CLASSES = 12
_MOST_BARS = 6
_SHOWN_CHARS = 700
METHOD_NAMES = {
    Method.combined: "whole model",
    Method.leave_one_out: "leave one out",
    Method.cell_decomposition: "cell decomposition",
    Method.integrated_gradients: "integrated gradients",
}


class Origin(NamedTuple):
    """Which row an explained text is, as far as that is known."""

    row_id: str = ""
    labels: tuple[str, ...] = ()
    """What is true of the row; empty where nobody has said."""


class Word(NamedTuple):
    """A word with its shade."""

    text: str
    shade: str
    """Style class: p1 to p6 speak for the label, n1 to n6 against it, empty for neither."""


class WordLine(NamedTuple):
    """A line of the table of words."""

    place: int
    word: str
    pos: str
    values: tuple[str, ...]
    """Attribution by each method."""
    survival: tuple[str, ...]
    """Share of what is left at the end, for each direction of the last layer."""
    units: str
    """Units won with max pooling; empty without."""


class TextView(NamedTuple):
    """One text as the template shows it."""

    explanation: Explanation
    origin: Origin
    excerpt: str
    words: tuple[Word, ...]
    strip: Markup
    running: Markup
    lines: tuple[WordLine, ...]
    method_names: tuple[str, ...]
    directions: tuple[str, ...]


def render_page(
    explanations: Sequence[Explanation],
    *,
    labels: Sequence[str],
    title: str,
    details: Mapping[str, str],
    corpus: CorpusView,
    faithfulness: Sequence[Faithfulness] = (),
    origins: Sequence[Origin] = (),
) -> bytes:
    """Return the page as UTF-8.

    Args:
        explanations: the texts that are shown one by one.
        labels: the labels of the model, in order.
        title: heading.
        details: names and values shown under the heading.
        corpus: the view over all texts; its method colors the words.
        faithfulness: what the deletion curves say of each method, best first; empty where they were not measured.
        origins: the row of each explanation; empty where the texts come from no rows.
    """
    # The page says how exact the traces are, so it needs the largest error of all cells.
    errors = [cell.error for entry in explanations for cell in entry.cells]
    values: dict[str, object] = {
        "title": title,
        "details": details,
        "largest_error": max(errors, default=0.0),
        "inexact": [number for number, entry in enumerate(explanations, 1) if not entry.is_exact],
        "tolerance": TOLERANCE,
        "faithfulness": faithfulness,
        "deletion": _deletion(faithfulness) if faithfulness else None,
        "corpus": corpus,
        "most_classes": _MOST_CLASSES,
        "classes": [(entry, _word_bars(entry)) for entry in corpus.classes[:_MOST_CLASSES]],
        "half_lives": _half_lives(corpus) if corpus.half_lives else None,
        "method_names": METHOD_NAMES,
        "texts": [
            view_text(entry, origin, labels=labels, method=corpus.method)
            for entry, origin in zip(explanations, origins or [Origin()] * len(explanations), strict=True)
        ],
    }
    page = fill_template(_PACKAGE, _PAGE, style=_STYLE, values=values)
    return page.encode("utf-8", "replace")


def _word_bars(entry: ClassView) -> list[BarLine]:
    """Return the words that speak most for a class, without marks."""
    words = [(word.name, word.total) for word in entry.words if any(map(str.isalnum, word.name))]
    return bar_lines(words, most=_MOST_BARS)


def view_text(explanation: Explanation, origin: Origin, *, labels: Sequence[str], method: Method) -> TextView:
    """Return how one text is shown; words are colored by what they put into the decision of the whole model.

    The table of words is by falling size of `method`.
    """
    shades = levels_of(explanation.combined.words).tolist()
    text = explanation.text
    return TextView(
        explanation,
        origin,
        text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…",
        tuple(Word(word, _shade(level)) for word, level in zip(explanation.tokens, shades, strict=True)),
        _strip(explanation) if explanation.tokens else Markup(),
        _running(explanation, labels) if explanation.tokens else Markup(),
        _word_lines(explanation, method),
        tuple(METHOD_NAMES[name] for name in explanation.attributions),
        tuple(cell.direction.value for cell in _top(explanation) if cell.survival is not None),
    )


def _shade(level: int) -> str:
    return "" if level == 0 else f"p{level}" if level > 0 else f"n{-level}"


def _strip(explanation: Explanation) -> Markup:
    rows = strip_rows(explanation)
    spans = ", ".join(f"{row.name} {row.span}" for row in rows)
    # Attributions are of words: they fit under the steps only where a step is one token.
    if explanation.step_tokens == 1:
        for method, values in explanation.attributions.items():
            largest = max(float(np.abs(values).max(initial=0.0)), 1e-9)
            rows.append(StripRow(METHOD_NAMES[method], values, 0.0, largest, is_signed=True))
    alternative = f"Least and largest over {len(explanation.steps)} steps, mean of the units: {spans}."
    return heat_strip(rows, explanation.steps, alternative=alternative)


def _running(explanation: Explanation, labels: Sequence[str]) -> Markup:
    last = explanation.running.forwards[-1]
    # Show the explained label and its strongest rival at the end of the text.
    chosen = labels.index(explanation.label)
    others = [number for number in np.argsort(-last).tolist() if number != chosen]
    shown = [(labels[number], number) for number in (chosen, *others[:1])]
    middle = explanation.running.forwards[len(last) // 2 if len(explanation.running.places) > len(last) // 2 else 0]
    return incremental_chart(
        explanation.running,
        shown,
        alternative=(
            f"Probability of {explanation.label} as words come in from the start: {middle[chosen]:.2f} early, "
            f"{last[chosen]:.2f} at the end."
        ),
    )


def _word_lines(explanation: Explanation, method: Method) -> tuple[WordLine, ...]:
    strongest = np.argsort(-np.abs(explanation.attributions[method]), kind="stable")[:_TABLE_ROWS]
    tops = [cell.survival for cell in _top(explanation) if cell.survival is not None]
    lines = []
    # The strongest words, in the order of the text.
    for place in sorted(strongest.tolist()):
        step = place // explanation.step_tokens
        lines.append(
            WordLine(
                place + 1,
                explanation.tokens[place],
                explanation.pos[place] if explanation.pos else "",
                tuple(f"{values[place]:+.3f}" for values in explanation.attributions.values()),
                tuple(f"{survival[step]:.1%}" for survival in tops),
                "" if explanation.wins is None else str(int(explanation.wins.units[step])),
            )
        )
    return tuple(lines)


def _top(explanation: Explanation) -> list[CellView]:
    last = max(cell.layer for cell in explanation.cells)
    return [cell for cell in explanation.cells if cell.layer == last]


def _deletion(found: Sequence[Faithfulness]) -> Markup:
    words = ", ".join(f"{METHOD_NAMES[entry.method]} {entry.area:.3f}" for entry in found)
    return deletion_chart(found, alternative=f"Areas under the curves: {words}, random {found[0].random_area:.3f}.")


def _half_lives(corpus: CorpusView) -> Markup:
    medians = ", ".join(
        f"layer {cell.layer + 1} {cell.direction.value} {np.median(cell.steps):.1f}" for cell in corpus.half_lives
    )
    return half_life_chart(corpus.half_lives, alternative=f"Median half-life in steps: {medians}.")
