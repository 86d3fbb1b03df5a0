"""Training rows as a table to correct and feed back: the most suspicious first, with a reason and a suggestion.

The table holds every row, so a person edits the label column or deletes rows and then trains on the file itself.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from textlstm.config import Task
from textlstm.corpus.files.storage import atomic_file
from textlstm.evaluation.duplicates import near_duplicates
from textlstm.evaluation.label_errors import find_label_errors, out_of_fold_probabilities
from textlstm.evaluation.rows import Booleans, Integers

QUALITY_FILE = "label_errors.csv"


class Reason(NamedTuple):
    """Names of what may be wrong with a row, as they stand in the table."""

    label_error: str = "likely label error"
    conflict: str = "near-same text, other label"
    duplicate: str = "near-duplicate"
    leak: str = "also in the evaluated rows"


REASONS = Reason()


class QualityTable(NamedTuple):
    """The table as CSV bytes, and how many rows carry each reason."""

    csv: bytes
    counts: dict[str, int]

    def write(self, path: Path) -> Path:
        """Write the table to `path`, whole or not at all.

        Raises:
            StorageError: the file cannot be written.
        """
        with atomic_file(path) as stream:
            stream.write(self.csv)
        return path


def quality_table(
    texts: Sequence[str],
    targets: Integers | Booleans,
    *,
    ids: Sequence[str],
    labels: tuple[str, ...],
    task: Task,
    seed: int,
    evaluated_texts: Sequence[str] = (),
    text_column: str = "text",
    label_column: str = "label",
) -> QualityTable:
    """Rate every training row.

    Args:
        texts: N training texts.
        targets: (N,) int64 or (N, L) bool.
        ids: N row ids.
        labels: L names.
        task: single- or multi-label.
        seed: of the folds behind the out-of-fold probabilities.
        evaluated_texts: test texts, to find training rows that occur among them.
        text_column: name of the text column, so that the file can be trained on with the same settings.
        label_column: name of the label column; multi-label cells are JSON lists.
    """
    probabilities = out_of_fold_probabilities(texts, targets, num_labels=len(labels), task=task, seed=seed)
    errors = find_label_errors(targets, probabilities, task=task)
    related = _related_rows(list(texts), list(evaluated_texts), targets)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["id", text_column, label_column, "suggested_label", "label_quality", "reason", "related_id"])
    counts: Counter[str] = Counter()
    for row in errors.ranking:
        reasons, other = list(related[row].reasons), related[row].other
        if errors.is_likely[row]:
            reasons.insert(0, REASONS.label_error)
        counts.update(reasons)
        given, suggested = _cell(targets[row], labels), _cell(errors.suggested[row], labels)
        quality = f"{errors.quality[row]:.4f}"
        related_id = "" if other is None else ids[other]
        writer.writerow([ids[row], texts[row], given, suggested, quality, "; ".join(reasons), related_id])
    return QualityTable(buffer.getvalue().encode("utf-8", "surrogatepass"), dict(counts))


class _Related(NamedTuple):
    """Why a row is like another, and which training row that is."""

    reasons: list[str]
    other: int | None


def _related_rows(texts: list[str], evaluated: list[str], targets: Integers | Booleans) -> list[_Related]:
    """What each training row has in common with other rows."""
    related = [_Related([], None) for _ in texts]
    # Evaluated texts stand first, so that a training row like one of them is joined to it.
    for pair in near_duplicates(evaluated + texts):
        first, second = pair.first - len(evaluated), pair.second - len(evaluated)
        if second < 0:
            continue
        if first < 0:
            _relate(related, second, REASONS.leak, None)
        elif np.array_equal(targets[first], targets[second]):
            _relate(related, second, REASONS.duplicate, first)
        else:
            _relate(related, second, REASONS.conflict, first)
            _relate(related, first, REASONS.conflict, second)
    return related


def _relate(related: list[_Related], row: int, reason: str, other: int | None) -> None:
    """Note a reason once, with the first row that gave one."""
    reasons, known = related[row]
    related[row] = _Related(reasons if reason in reasons else [*reasons, reason], other if known is None else known)


def _cell(target: np.integer | Booleans, labels: tuple[str, ...]) -> str:
    if np.ndim(target) == 0:
        return labels[int(target)]
    return json.dumps([label for label, carried in zip(labels, np.atleast_1d(target), strict=True) if carried])
