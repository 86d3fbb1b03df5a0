"""The data card: what is in a prepared corpus, as plain JSON."""

from collections.abc import Mapping
from typing import Any

from textlstm.config import Task
from textlstm.corpus.assign import Assignment
from textlstm.corpus.split_statistics import SplitStatistics
from textlstm.corpus.splits import Split
from textlstm.text.saved import SavedText


def build_card(
    statistics: Mapping[Split, SplitStatistics],
    *,
    assignment: Assignment,
    num_rejects: int,
    task: Task,
    saved: SavedText,
) -> dict[str, Any]:
    """Return the card of a corpus."""
    return {
        "task": task.value,
        "num_labels": len(assignment.labels),
        "labels": list(assignment.labels),
        "splits": {split.value: _split_card(found) for split, found in statistics.items()},
        "duplicates": assignment.duplicates,
        "num_rejects": num_rejects,
        "spacy_model": f"{saved.spacy_model} {saved.spacy_model_version}".strip(),
        "language": saved.language,
    }


def _split_card(found: SplitStatistics) -> dict[str, Any]:
    return {
        "rows": found.num_rows,
        "tokens": found.num_tokens,
        "tokens_removed": found.num_removed,
        "rows_without_tokens": found.num_without_tokens,
        "labels": dict(sorted(found.label_counts.items())),
        "labels_per_row": {str(number): rows for number, rows in sorted(found.labels_per_row.items())},
        "chars": found.chars.summary(),
        "tokens_before_filters": found.tokens_before.summary(),
        "tokens_after_filters": found.tokens_after.summary(),
    }
