"""What a job did, in numbers and in a few lines for the screen."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from textlstm.figure_text import DRIFT_LARGE, counted, drift_words
from textlstm.labelling.journal import ShardRecord, known_sum
from textlstm.labelling.model import ModelCard
from textlstm.models.calibration.early_exit import EarlyExit

MAX_LABELS_SHOWN = 20
_SHARE_FLOOR = 1e-4
_DRIFT_ROWS, _DRIFT_ROWS_A_LABEL = 100, 10
"""Shares of fewer rows say nothing about drift: of labels with so few rows each, chance alone makes the index large."""


@dataclass(frozen=True, slots=True)
class LabelSummary:
    """The result of one labelling job."""

    output: str
    rejects: str
    """Path of the rejected rows; empty when there are none."""
    manifest: str
    num_rows: int
    """Rows of the output; with `num_rejects` those of the input."""
    num_rejects: int
    num_continued: int
    """Rows that an earlier, interrupted run of the same command had finished."""
    labels: Mapping[str, int]
    """Rows by label, most frequent first."""
    decisions: Mapping[str, int]
    mean_confidence: float
    """Mean probability of the labels of rows with a text."""
    drift: float | None
    """Population stability index of the labels against the training rows; None where those are not known."""
    seconds: float
    """Wall time of this run."""
    seconds_by_step: Mapping[str, float]
    """Time of all workers together by step."""
    num_workers: int
    notes: tuple[str, ...] = ()
    """Which inputs differ from what their names say, and how they were read."""
    num_seen: int | None = None
    """Rows whose text the model learned from; None where that is not known."""
    num_without_network: int = 0
    """Rows that the linear expert decided alone."""
    early_exit: EarlyExit | None = None
    """When it does; None: never."""
    num_kept: int = 0
    """Rows that have the label of an earlier output."""

    @property
    def num_here(self) -> int:
        """Rows that this run labelled or rejected."""
        return self.num_rows + self.num_rejects - self.num_continued - self.num_kept

    @property
    def rows_per_second(self) -> float:
        """Rows of this run by its wall time, start included."""
        return self.num_here / max(self.seconds, 1e-9)

    def lines(self) -> list[str]:
        """Return the summary for a person."""
        total = max(self.num_rows, 1)
        # Seconds and speed are of this run: after a resume, the rows that it labelled stand beside them.
        here = f", {self.num_here:,} of them by this run" if self.num_continued or self.num_kept else ""
        lines = [
            f"labelled {counted(self.num_rows, 'row')} into {self.output}{here} in {self.seconds:.1f} s "
            f"({self.rows_per_second:,.0f} rows/s, {_workers(self.num_workers)})"
        ]
        lines += self.notes
        if self.num_continued:
            were = "was" if self.num_continued == 1 else "were"
            lines.append(f"continued: {counted(self.num_continued, 'row')} {were} done by an earlier run")
        if self.num_kept:
            lines.append(f"kept: {counted(self.num_kept, 'label')} of the earlier output")
        if self.num_rejects:
            lines.append(f"rejected {counted(self.num_rejects, 'row')}, listed in {self.rejects}")
        lines.append(f"mean confidence {self.mean_confidence:.3f}")
        others = {name: count for name, count in self.decisions.items() if name != "accepted"}
        if others:
            lines.append("; ".join(f"{name} {count:,} ({count / total:.1%})" for name, count in others.items()))
        if self.decisions.get("abstained", 0) and not self.decisions.get("accepted", 0):
            lines.append("warning: no row reaches the model's threshold, so the model decides none of them")
        shown = list(self.labels.items())[:MAX_LABELS_SHOWN]
        lines += [f"  {count / total:7.2%}  {label or '(no label)'}" for label, count in shown]
        if len(self.labels) > len(shown):
            lines.append(f"  and {len(self.labels) - len(shown)} more labels")
        if self.num_seen:
            were = "was" if self.num_seen == 1 else "were"
            lines.append(f"{counted(self.num_seen, 'row')} ({self.num_seen / total:.1%}) {were} seen in training")
        if self.drift is not None:
            advice = "; look at the rows before trusting the labels" if self.drift >= DRIFT_LARGE else ""
            lines.append(
                f"label shares against the training rows: {drift_words(self.drift)} (index {self.drift:.3f}){advice}"
            )
        # Of labels that were kept nobody knows whether a network gave them.
        num_new = self.num_rows - self.num_kept
        if self.early_exit is not None and (num_new or not self.num_kept):
            share = _without_network(self.num_without_network, max(num_new, 1))
            lines.append(f"{share}: {_bound_words(self.early_exit)}")
        steps = ", ".join(f"{step} {value:.1f} s" for step, value in self.seconds_by_step.items())
        return [*lines, f"time of all workers: {steps}"]


def summarize(
    records: Sequence[ShardRecord],
    card: ModelCard,
    *,
    output: str,
    rejects: str,
    manifest: str,
    num_continued: int,
    seconds: float,
    num_workers: int,
    early_exit: EarlyExit | None = None,
) -> LabelSummary:
    """Return the summary of a job whose shards have these `records`."""
    labels: Counter[str] = Counter()
    decisions: Counter[str] = Counter()
    steps: dict[str, float] = {}
    for record in records:
        labels.update(record.labels)
        decisions.update(record.decisions)
        for step, value in record.seconds.items():
            steps[step] = steps.get(step, 0.0) + value
    num_rejects = sum(record.num_rejects for record in records)
    # Rows without a text have no probability that could enter the mean.
    with_text = sum(record.num_rows for record in records) - decisions["empty"]
    return LabelSummary(
        output=output,
        rejects=rejects if num_rejects else "",
        manifest=manifest,
        num_rows=sum(record.num_rows for record in records),
        num_rejects=num_rejects,
        num_continued=num_continued,
        labels=dict(sorted(labels.items(), key=lambda item: (-item[1], item[0]))),
        decisions=dict(sorted(decisions.items())),
        mean_confidence=sum(record.confidence_sum for record in records) / max(with_text, 1),
        drift=label_drift(labels, card),
        seconds=seconds,
        seconds_by_step=steps,
        num_workers=num_workers,
        num_seen=known_sum(*(record.num_seen for record in records)),
        num_without_network=sum(record.num_without_network for record in records),
        early_exit=early_exit,
        num_kept=sum(record.num_kept for record in records),
    )


def _least_rows(num_labels: int) -> int:
    return max(_DRIFT_ROWS, _DRIFT_ROWS_A_LABEL * num_labels)


def label_drift(labels: Mapping[str, int], card: ModelCard) -> float | None:
    """Return the population stability index between the labels given and those of the training rows.

    The index sums (p - q) * ln(p / q) over labels, p the share given and q the share in training; shares count as at
    least 0.0001. Labels that the model does not know (the one of empty rows) are left out; None for under 100 rows
    or 10 a label.

    Example: shares 0.5 and 0.5 against 0.25 and 0.75 in training give 0.275.
    """
    given = [labels.get(label, 0) for label in card.labels]
    if len(card.label_shares) != len(card.labels) or sum(given) < _least_rows(len(given)):
        return None
    index = 0.0
    # With several labels a row the shares of training add up to more than 1, and counts to more than the rows.
    known = max(sum(card.label_shares), _SHARE_FLOOR)
    for count, trained in zip(given, card.label_shares, strict=True):
        # The floor keeps the logarithm finite where a label is absent on one side.
        share = max(count / sum(given), _SHARE_FLOOR)
        base = max(trained / known, _SHARE_FLOOR)
        index += (share - base) * math.log(share / base)
    return index


def _without_network(count: int, total: int) -> str:
    return f"early exit: the linear expert alone decided {counted(count, 'row')} ({count / total:.1%})"


def _bound_words(early_exit: EarlyExit) -> str:
    """Say how many rows may have another label than without early exit, and what held-out rows show."""
    if early_exit.bound <= early_exit.rate:
        return (
            f"at most {_in_1000(early_exit.rate)} rows have another label than with early_exit=off "
            f"({early_exit.confidence:.0%} confidence, {early_exit.num_rows:,} held-out rows)"
        )
    return (
        f"about {_in_1000(early_exit.rate)} rows or fewer have another label than with early_exit=off; the "
        f"{early_exit.num_rows:,} held-out rows are too few to show it and show at most {_in_1000(early_exit.bound)} "
        f"({early_exit.confidence:.0%} confidence)"
    )


def _in_1000(share: float) -> str:
    return f"{1000 * share:.2g} in 1,000"


def _workers(count: int) -> str:
    return "1 process" if count == 1 else f"{count} workers"
