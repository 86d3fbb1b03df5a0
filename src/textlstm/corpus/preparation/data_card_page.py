"""The data card as one HTML page without scripts, links or other files; everything in it is escaped."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from textlstm.corpus.preparation.overlap import NearPair
from textlstm.figure_text import counted
from textlstm.html_pages import fill_template
from textlstm.storage.files import atomic_file
from textlstm.text.tagger.pos import POS_NAMES

MAX_LABELS = 200
"""Labels that the page lists; the JSON has all."""


def write_page(
    path: Path,
    card: Mapping[str, Any],
    *,
    examples: Mapping[str, Sequence[str]] | None = None,
    pairs: Mapping[str, Sequence[NearPair]] | None = None,
) -> None:
    """Write the page.

    Raises:
        StorageError: the file cannot be written.
    """
    with atomic_file(path) as stream:
        stream.write(render_page(card, examples=examples, pairs=pairs).encode("utf-8", "backslashreplace"))


def render_page(
    card: Mapping[str, Any],
    *,
    examples: Mapping[str, Sequence[str]] | None = None,
    pairs: Mapping[str, Sequence[NearPair]] | None = None,
) -> str:
    """Return the page of a data card.

    Args:
        card: what `build_card` returned.
        examples: some texts of each label.
        pairs: near-duplicates of training rows by split, with texts.
    """
    values = {
        "card": card,
        "title": _title(card),
        "labels": _label_lines(card, examples or {}),
        "max_labels": MAX_LABELS,
        "histograms": {name: _bars(split["length_histogram"]) for name, split in card["splits"].items()},
        "pairs": pairs or {},
        "pos_lines": _pos_lines(card),
    }
    return fill_template("textlstm.corpus.preparation", "data_card.html.jinja", style="data_card.css", values=values)


def _title(card: Mapping[str, Any]) -> str:
    """Return the names of the files, each once, in the order of the splits."""
    names = dict.fromkeys(name for split in card["splits"].values() for name in split["files"])
    shown = list(names)[:3]
    return ", ".join(shown) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


class Bar(NamedTuple):
    """One bar of a histogram, in percent of the picture."""

    x: float
    width: float
    height: float
    title: str


def _bars(histogram: Sequence[Sequence[int]]) -> list[Bar]:
    """Return the bars of `Lengths.histogram`, which all have the same width on the page."""
    highest = max((rows for _, _, rows in histogram), default=1) or 1
    width = 100 / max(len(histogram), 1)
    return [
        Bar(
            round(place * width, 2),
            round(0.9 * width, 2),
            round(100 * rows / highest, 1),
            f"{first if first == last else f'{first} to {last}'} tokens: {counted(rows, 'row')}",
        )
        for place, (first, last, rows) in enumerate(histogram)
    ]


class LabelLine(NamedTuple):
    """A label with its rows by split."""

    label: str
    counts: list[int]
    share: float
    """Of the rows of the first split."""
    examples: Sequence[str]


def _label_lines(card: Mapping[str, Any], examples: Mapping[str, Sequence[str]]) -> list[LabelLine]:
    """Return each label, the most frequent first; labels that train lacks come last."""
    splits = list(card["splits"].values())
    counts = [split["rows_of_label"] for split in splits]
    labels = sorted({label for of_label in counts for label in of_label})
    lines = [
        LabelLine(
            label,
            [of_label.get(label, 0) for of_label in counts],
            counts[0].get(label, 0) / max(splits[0]["rows"], 1),
            examples.get(label, ()),
        )
        for label in labels
    ]
    return sorted(lines, key=lambda line: (-line.counts[0], line.label))


class PosLine(NamedTuple):
    """A part of speech with its share of the kept tokens of each split, in [0, 1]."""

    name: str
    tag: str
    shares: list[float]


def _pos_lines(card: Mapping[str, Any]) -> list[PosLine]:
    """Return the parts of speech, the most frequent of the first split first; none where texts are not tagged."""
    counts = [split["tokens_of_pos"] for split in card["splits"].values()]
    # A part of speech that only a later split has comes last.
    tags = dict.fromkeys(tag for of_pos in counts for tag in of_pos)
    totals = [max(sum(of_pos.values()), 1) for of_pos in counts]
    return [
        PosLine(
            POS_NAMES.get(tag, "without a tag"),
            tag,
            [of_pos.get(tag, 0) / total for of_pos, total in zip(counts, totals, strict=True)],
        )
        for tag in tags
    ]
