"""The data card: what is in a prepared corpus and what is odd about it, as plain JSON values."""

from collections.abc import Mapping, Sequence
from typing import Any

from textlstm.config import Task
from textlstm.corpus.assign import Assignment
from textlstm.corpus.split_statistics import SplitStatistics
from textlstm.corpus.splits import Split
from textlstm.text.language_guess import UNCLEAR
from textlstm.text.saved import SavedText

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
    saved: SavedText,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Return the card; its `warnings` are the given ones and those that the figures of the card give rise to."""
    found = [*warnings, *_language_warnings(statistics, saved.language), *_near_duplicate_warnings(comparison)]
    found += _empty_warnings(statistics)
    if num_rejects:
        found.append(f"{num_rejects:,} rows were rejected; rejects.jsonl beside the card says why")
    return {
        "task": task.value,
        "labels": list(assignment.labels),
        "splits": {split.value: _split_card(counted) for split, counted in statistics.items()},
        "compared_with_train": dict(comparison),
        "duplicates": assignment.duplicates,
        "num_rejects": num_rejects,
        "spacy_model": f"{saved.spacy_model} {saved.spacy_model_version}".strip(),
        "language": saved.language,
        "has_pos": saved.has_pos,
        "num_stop_words": len(saved.stop_words),
        "warnings": found,
    }


def _split_card(counted: SplitStatistics) -> dict[str, Any]:
    return {
        "rows": counted.num_rows,
        "tokens": counted.num_tokens,
        "tokens_removed": counted.num_removed,
        "rows_without_tokens": counted.num_without_tokens,
        "rows_of_label": dict(sorted(counted.label_counts.items())),
        "rows_of_number_of_labels": {str(number): rows for number, rows in sorted(counted.labels_per_row.items())},
        "chars": counted.chars.summary(),
        "tokens_before_filters": counted.tokens_before.summary(),
        "tokens_after_filters": counted.tokens_after.summary(),
        "languages_of_sample": dict(counted.languages.most_common()),
    }


def _language_warnings(statistics: Mapping[Split, SplitStatistics], language: str) -> list[str]:
    warnings = []
    for split, counted in statistics.items():
        sampled = counted.languages.total()
        for other, texts in counted.languages.items():
            if other not in (language, UNCLEAR) and texts >= OTHER_LANGUAGE_SHARE * sampled:
                warnings.append(
                    f"{split}: {texts} of {sampled} sampled texts look like '{other}', but text.language={language}; "
                    f"set text.language={other} if they are"
                )
    return warnings


def _near_duplicate_warnings(comparison: Mapping[str, Any]) -> list[str]:
    return [
        f"{split}: {found['near_duplicates_of_train']} of {found['rows_compared']} compared rows are almost equal to a "
        "training row; results on them say little about new texts"
        for split, found in comparison.items()
        if found["near_duplicates_of_train"] > NEAR_DUPLICATE_SHARE * found["rows_compared"]
    ]


def _empty_warnings(statistics: Mapping[Split, SplitStatistics]) -> list[str]:
    return [
        f"{split}: {counted.num_without_tokens} rows have no token left after the filters and count as one unknown word"
        for split, counted in statistics.items()
        if counted.num_without_tokens
    ]
