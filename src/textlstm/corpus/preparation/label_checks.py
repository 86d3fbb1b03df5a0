"""Checks of the labels of a corpus: number, size, look-alikes, characters."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from textlstm.config import DataConfig, RareLabel
from textlstm.errors import InputError
from textlstm.figure_text import counted

MAX_LABEL_CHARS = 256
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\Z", re.ASCII)
_OUTER = re.compile(r"^[\s\u200b-\u200f\u2060\ufeff\u00ad]+|[\s\u200b-\u200f\u2060\ufeff\u00ad]+$")
_ZERO_WIDTH = re.compile(r"[\u00ad\u200b-\u200f\u2060\ufeff]")


@dataclass(frozen=True, slots=True)
class LabelReport:
    """What is wrong with labels (problems), what is odd (warnings), and which labels are to be dropped."""

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    drop: frozenset[str] = field(default_factory=frozenset)


def check_labels(counts: Mapping[str, int], data: DataConfig, *, name: str = "train") -> LabelReport:
    """Check the number of rows of each training label; `name` is what the rows are called in messages.

    Problems are all that is wrong: look-alike labels, labels too long or with control characters, too many classes,
    a single class, classes with one row (unless `data.rare_label` says otherwise).
    """
    # First what is wrong under any setting.
    problems = character_problems(counts, name=name)
    alike, number_warnings = look_alike_problems(counts, name=name)
    problems += alike
    warnings = number_warnings
    drop: frozenset[str] = frozenset()
    # Then classes with one row, as data.rare_label says; a corpus of one row has a message of its own below.
    rare = sorted(label for label, count in counts.items() if count == 1) if sum(counts.values()) > 1 else []
    if rare:
        match data.rare_label:
            case RareLabel.error:
                problems.append(
                    f"{name}: {_classes(rare)} {'has' if len(rare) == 1 else 'have'} one row only; a class needs two. "
                    "Add rows or set data.rare_label=drop or data.rare_label=keep."
                )
            case RareLabel.drop:
                drop = frozenset(rare)
                warnings.append(f"{name}: {_classes(rare)} with one row only dropped (data.rare_label=drop).")
            case RareLabel.keep:
                warnings.append(f"{name}: {_classes(rare)} with one row only kept (data.rare_label=keep).")
    # Last the number of classes, without those that are dropped.
    problems += class_number_problems(len(counts) - len(drop), sum(counts.values()), data, name=name)
    return LabelReport(tuple(problems), tuple(warnings), drop)


def class_number_problems(num_classes: int, num_rows: int, data: DataConfig, *, name: str) -> list[str]:
    """Return what is wrong with the number of classes."""
    multi_label = bool(data.labels_column)
    if num_rows == 1 and not multi_label:
        return [f"{name}: has one row only; there is nothing to learn from."]
    if num_classes == 0:
        return [f"{name}: no row has a label."]
    if num_classes == 1 and not multi_label:
        return [f"{name}: all rows have the same label; there must be at least two classes."]
    if num_classes > data.max_classes:
        return [
            f"{name}: {num_classes:,} classes; data.max_classes={data.max_classes:,} are allowed. "
            "Is the label column the right one? Set data.label_column, or raise data.max_classes."
        ]
    return []


def character_problems(counts: Mapping[str, int], *, name: str) -> list[str]:
    """Return a problem for each label that is too long or has control characters."""
    problems = []
    for label in sorted(counts):
        if len(label) > MAX_LABEL_CHARS:
            problems.append(
                f"{name}: the label {label[:40]!r}... has {len(label):,} characters; at most {MAX_LABEL_CHARS} are "
                "allowed. Is the label column the right one?"
            )
        if _CONTROL.search(label):
            problems.append(f"{name}: the label {label[:80]!r} has control characters. Remove them.")
    return problems


def look_alike_problems(counts: Mapping[str, int], *, name: str) -> tuple[list[str], list[str]]:
    """Return problems for labels that look the same but differ, and warnings for numbers written in several ways."""
    problems, warnings = [], []
    # Labels of a group differ in case, white space, Unicode form or invisible characters only.
    for group in _groups(counts, _folded).values():
        if len(group) > 1:
            variants = _with_rows(group, counts)
            problems.append(f"{name}: labels look alike: {variants} differ in {_difference(group)}. Make them one.")
        elif _OUTER.search(group[0]):
            problems.append(f"{name}: the label {group[0]!r} has space or invisible characters at its ends. Strip it.")
    # '1', '1.0' and '+1' are one number: odd, but no error.
    for group in _groups(counts, _number).values():
        if len(group) > 1:
            variants = _with_rows(group, counts)
            warnings.append(f"{name}: the labels {variants} are the same number but count as different classes.")
    return problems, warnings


def _groups(counts: Mapping[str, int], key: Callable[[str], str | None]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for label in sorted(counts):
        folded = key(label)
        if folded is not None:
            groups.setdefault(folded, []).append(label)
    return groups


def _folded(label: str) -> str:
    plain = unicodedata.normalize("NFKC", _ZERO_WIDTH.sub("", label))
    # Case folding can leave the normal form, so the result is normalized again.
    return unicodedata.normalize("NFKC", " ".join(plain.split()).casefold())


def _number(label: str) -> str | None:
    return repr(float(label)) if _NUMBER.match(label) and len(label) < 40 else None


def _difference(group: list[str]) -> str:
    # The first step that makes all spellings equal names the difference.
    if len({_OUTER.sub("", label) for label in group}) == 1:
        return "outer space or invisible characters"
    if len({unicodedata.normalize("NFC", label) for label in group}) == 1:
        return "Unicode form (NFC, NFD)"
    if len({label.lower() for label in group}) == 1:
        return "upper and lower case"
    return "case, space or Unicode form"


def _with_rows(group: list[str], counts: Mapping[str, int]) -> str:
    return " and ".join(f"{label!r} ({counted(counts[label], 'row')})" for label in group)


def _classes(labels: list[str]) -> str:
    shown = ", ".join(repr(label) for label in labels[:MAX_LISTED])
    more = f" and {len(labels) - MAX_LISTED} more" if len(labels) > MAX_LISTED else ""
    return f"{'class' if len(labels) == 1 else 'classes'} {shown}{more}"


# Numbers and lists as messages say them.

MAX_LISTED = 10


def listed(names: Sequence[str]) -> str:
    """Return the first names in quotes; `, ...` stands for more."""
    return ", ".join(repr(name) for name in names[:MAX_LISTED]) + (", ..." if len(names) > MAX_LISTED else "")


# Labels of rows to score, held against the labels that a model decides between.

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
        counts: number of rows of each label.
        known: the labels that can be predicted.
        data: its label columns stand in the remedies.
        name: what the rows are called in messages.
        owner: who knows `known`: train, or the model.
        fate: what becomes of such rows.

    Raises:
        InputError: labels only look unknown (another spelling, or several labels in one cell), or none is known.
    """
    unknown = sorted(set(counts) - set(known))
    if not unknown:
        return []
    # Known labels take part without rows: an unknown label that looks like a known one is a misspelling.
    both = dict.fromkeys(known, 0) | dict(counts)
    problems = character_problems(counts, name=name) + look_alike_problems(both, name=name)[0]
    problems += _joined_label_problems(unknown, counts, known, data, name=name, owner=owner)
    # Where no label at all is known, the column is probably the wrong one.
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


def check_probable(num_rows_of: Mapping[str, Mapping[str, int]], known: Sequence[str]) -> None:
    """Refuse probabilities of labels that are not `known`: mostly misspelled ones.

    Args:
        num_rows_of: by split, the number of rows that name each label.
        known: labels that are the most probable ones of some row.

    Raises:
        InputError: there are such labels; a line a split, with all of them.
    """
    problems = []
    for split, counts in num_rows_of.items():
        unknown = {label: count for label, count in sorted(counts.items()) if label not in known}
        if unknown:
            named = ", ".join(f"{label!r} ({counted(count, 'row')})" for label, count in unknown.items())
            problems.append(
                f"{split}: probabilities name labels that are the most probable ones of no row: {named}. "
                "Correct the names, or leave them out of the probabilities."
            )
    if problems:
        raise InputError(*problems)


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
