"""The data card: what is in a prepared corpus and what is odd about it, as plain JSON values."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textlstm.config import Task
from textlstm.corpus.preparation.splitting import Assignment
from textlstm.corpus.preparation.statistics import SplitStatistics
from textlstm.corpus.prepared import Split
from textlstm.figure_text import counted
from textlstm.storage.files import atomic_file
from textlstm.text.fingerprint import TextFingerprint
from textlstm.text.language import UNCLEAR

if TYPE_CHECKING:
    from jinja2 import Template

OTHER_LANGUAGE_SHARE = 0.2
"""From this part of the sampled texts on, another language is worth a warning."""
NEAR_DUPLICATE_SHARE = 0.01
"""From this part of the compared rows on, near-duplicates are worth a warning."""


def build_card(
    statistics: Mapping[Split, SplitStatistics],
    *,
    comparison: Mapping[str, Any],
    assignment: Assignment,
    num_rejects: int,
    task: Task,
    saved: TextFingerprint,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Return the card; its `warnings` are the given ones and those that the figures of the card give rise to."""
    all_warnings = [*warnings, *_language_warnings(statistics, saved.language), *_near_duplicate_warnings(comparison)]
    all_warnings += _empty_warnings(statistics)
    if num_rejects:
        all_warnings.append(f"{counted(num_rejects, 'row')} rejected; rejects.jsonl beside the data card says why")
    return {
        "task": task.value,
        "labels": list(assignment.labels),
        "splits": {split.value: _split_card(found) for split, found in statistics.items()},
        "compared_with_train": dict(comparison),
        "duplicates": assignment.duplicates,
        "num_rejects": num_rejects,
        "spacy_model": f"{saved.spacy_model} {saved.spacy_model_version}".strip(),
        "language": saved.language,
        "has_pos": saved.has_pos,
        "num_stop_words": len(saved.stop_words),
        "warnings": all_warnings,
    }


def _split_card(found: SplitStatistics) -> dict[str, Any]:
    return {
        "rows": found.num_rows,
        "tokens": found.num_tokens,
        "tokens_removed": found.num_removed,
        "rows_without_tokens": found.num_without_tokens,
        "rows_of_label": dict(sorted(found.label_counts.items())),
        "rows_of_number_of_labels": {str(number): rows for number, rows in sorted(found.labels_per_row.items())},
        "chars": found.chars.summary(),
        "tokens_before_filters": found.tokens_before.summary(),
        "tokens_after_filters": found.tokens_after.summary(),
        "languages_of_sample": dict(found.languages.most_common()),
    }


def _language_warnings(statistics: Mapping[Split, SplitStatistics], language: str) -> list[str]:
    warnings = []
    for split, found in statistics.items():
        sampled = found.languages.total()
        for other, texts in found.languages.items():
            if other not in (language, UNCLEAR) and texts >= OTHER_LANGUAGE_SHARE * sampled:
                warnings.append(
                    f"{split}: {texts} of {sampled} sampled texts look like '{other}', but text.language={language}; "
                    f"set text.language={other} if they are"
                )
    return warnings


def _near_duplicate_warnings(comparison: Mapping[str, Any]) -> list[str]:
    return [
        f"{split}: {counted(found['near_duplicates_of_train'], 'row')} of {found['rows_compared']:,} compared almost "
        "equal to a training row; results there say little about new texts"
        for split, found in comparison.items()
        if found["near_duplicates_of_train"] > NEAR_DUPLICATE_SHARE * found["rows_compared"]
    ]


def _empty_warnings(statistics: Mapping[Split, SplitStatistics]) -> list[str]:
    return [
        f"{split}: {counted(found.num_without_tokens, 'row')} without tokens after the filters, read as one unknown"
        for split, found in statistics.items()
        if found.num_without_tokens
    ]


# The data card as one HTML page without scripts, links or other files; everything in it is escaped.

TEMPLATE = "data_card.html"
MAX_LABELS = 200
"""Labels that the page lists; the JSON has all."""


def write_page(path: Path, card: Mapping[str, Any]) -> None:
    """Write the page.

    Raises:
        StorageError: the file cannot be written.
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
    source = resources.files("textlstm.corpus.preparation").joinpath(TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(source)


def _label_rows(card: Mapping[str, Any]) -> list[tuple[str, list[int]]]:
    """Return each label with its rows by split, the most frequent first; labels that train lacks come last."""
    counts = [split["rows_of_label"] for split in card["splits"].values()]
    labels = sorted({label for of_label in counts for label in of_label})
    rows = [(label, [of_label.get(label, 0) for of_label in counts]) for label in labels]
    return sorted(rows, key=lambda row: (-row[1][0], row[0]))
