"""The data card as one HTML page without scripts, links or other files; everything in it is escaped."""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textlstm.corpus.files.storage import atomic_file

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = "card_page.html"
MAX_LABELS = 200
"""Labels that the page lists; the JSON has all."""


def write_page(path: Path, card: Mapping[str, Any]) -> None:
    """Write the page.

    Raises:
        StorageError: The file cannot be written.
    """
    with atomic_file(path) as stream:
        stream.write(render_page(card).encode("utf-8", "backslashreplace"))


def render_page(card: Mapping[str, Any]) -> str:
    """Return the page of a data card."""
    page: str = _template().render(card=card, labels=_label_rows(card), max_labels=MAX_LABELS)
    return page


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = resources.files("textlstm.corpus.preparing").joinpath(TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(source)


def _label_rows(card: Mapping[str, Any]) -> list[tuple[str, list[int]]]:
    """Return each label with its rows by split, the most frequent first; labels that train lacks come last."""
    counts = [split["rows_of_label"] for split in card["splits"].values()]
    labels = sorted({label for of_label in counts for label in of_label})
    rows = [(label, [of_label.get(label, 0) for of_label in counts]) for label in labels]
    return sorted(rows, key=lambda row: (-row[1][0], row[0]))
