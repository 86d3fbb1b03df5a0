"""Labels of rows to score, held against the labels that a model decides between."""

from collections.abc import Mapping, Sequence

from textlstm.config import DataConfig
from textlstm.corpus.preparing.checks import character_problems, look_alike_problems
from textlstm.corpus.preparing.wording import counted, listed
from textlstm.errors import InputError

SEPARATORS = ("|", ";", ",", "/", "+", "\t")
"""What people put between several labels in one cell."""


def check_known(
    counts: Mapping[str, int],
    known: Sequence[str],
    data: DataConfig,
    *,
    name: str,
    owner: str = "train",
    fate: str = "count as always wrong",
) -> list[str]:
    """Return a warning that names the labels that are not `known`, and says what becomes of such rows.

    Args:
        counts: Number of rows of each label.
        known: The labels that can be predicted.
        data: Its label columns stand in the remedies.
        name: What the rows are called in messages.
        owner: Who knows `known`: train, or the model.
        fate: What becomes of such rows.

    Raises:
        InputError: Labels only look unknown (another spelling, or several labels in one cell), or none is known.
    """
    unknown = sorted(set(counts) - set(known))
    if not unknown:
        return []
    both = dict.fromkeys(known, 0) | dict(counts)
    problems = character_problems(counts, name=name) + look_alike_problems(both, name=name)[0]
    problems += _joined_label_problems(unknown, counts, known, data, name=name, owner=owner)
    if not problems and len(unknown) == len(counts):
        column = (
            f"data.labels_column={data.labels_column}"
            if data.labels_column
            else f"data.label_column={data.label_column}"
        )
        problems = [
            f"{name}: none of the labels in {column} is known: {listed(unknown)}; {owner} has {listed(known)}. "
            "Name the column that holds those, or correct the labels."
        ]
    if problems:
        raise InputError(*problems)
    rows = counted(sum(counts[label] for label in unknown), "row")
    return [f"{name}: {rows} with labels that {owner} does not have {fate}: {listed(unknown)}"]


def _joined_label_problems(
    unknown: Sequence[str], counts: Mapping[str, int], known: Sequence[str], data: DataConfig, *, name: str, owner: str
) -> list[str]:
    """Return a problem for each separator between labels that are known alone: 'a|b' where 'a' and 'b' are known."""
    problems = []
    for separator in SEPARATORS:
        joined = [label for label in unknown if _is_joined(label, separator, frozenset(known))]
        if not joined:
            continue
        rows = counted(sum(counts[label] for label in joined), "row")
        remedy = (
            f"Set data.label_separator={separator!r}."
            if data.labels_column
            else f"Give each row one label; several ({separator!r} between them) are for multi-label models, "
            "with data.labels_column and data.label_separator."
        )
        problems.append(f"{name}: {rows} with several labels of {owner} in one: {listed(joined)}. {remedy}")
    return problems


def _is_joined(label: str, separator: str, known: frozenset[str]) -> bool:
    parts = [part.strip() for part in label.split(separator)]
    return len(parts) > 1 and known.issuperset(parts)
