"""The four questions that a reader of a report has, answered in words: what stands on its first screen."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from textlstm.evaluation.bootstrap import Interval, proportion_interval
from textlstm.evaluation.comparison import Comparison, Verdict, format_p_value
from textlstm.evaluation.evaluate import BASELINE, Evaluation
from textlstm.figure_text import counted, fixed, percent_text, score_text

SURE = 0.9
"""Wrong decisions that are stated with at least this probability often have a wrong label."""
_MOST_NAMED = 3
_MOST_IN_GROUP = 6
_ERRORS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


class Tone(StrEnum):
    """How an answer is marked."""

    good = "good"
    mixed = "mixed"
    bad = "bad"
    plain = "plain"


class Answer(NamedTuple):
    """One question and its answer."""

    question: str
    short: str
    """The answer in a few words."""
    details: tuple[str, ...]
    """A line each."""
    tone: Tone
    more: str
    """Name of the section that holds the figures."""


class Choice(NamedTuple):
    """What happens if a person decides the rows below a threshold."""

    threshold: float
    coverage: float
    """Part of the rows that the model decides."""
    error: float
    """Part of those that is wrong."""
    interval: Interval
    """Exact interval of `error`."""
    num_left: int
    """Rows that a person decides."""


def choices(evaluation: Evaluation) -> list[Choice]:
    """Return the thresholds at which at most 0.5, 1, 2, 5, 10 and 20 % of the decided rows are wrong, strictest first.

    Each is the one that decides most rows; the last entry decides all rows. Error rates that no threshold reaches, or
    that all rows reach, are left out.
    """
    curve, num_rows = evaluation.coverage, evaluation.rows.num_rows
    found: list[Choice] = []
    for most in (*_ERRORS, 1.0):
        reached = np.flatnonzero(curve.risk <= most)
        if not len(reached):
            continue
        last = int(reached[-1])
        accepted = round(float(curve.coverage[last]) * num_rows)
        error = float(curve.risk[last])
        choice = Choice(
            threshold=float(curve.threshold[last]),
            coverage=float(curve.coverage[last]),
            error=error,
            interval=proportion_interval(round(error * accepted), accepted, confidence=evaluation.config.confidence),
            num_left=num_rows - accepted,
        )
        if not found or choice.coverage > found[-1].coverage:
            found.append(choice)
    return found


def answers(evaluation: Evaluation) -> list[Answer]:
    """Return the answers in the order in which they are asked."""
    return [_better(evaluation), _confused(evaluation), _to_fix(evaluation), _alone(evaluation)]


def _better(evaluation: Evaluation) -> Answer:
    question = "Is it better than the baseline?"
    places = [place for place, name in enumerate(evaluation.others) if name == BASELINE]
    if not places:
        return Answer(question, "Not compared.", ("The model was saved without a baseline.",), Tone.plain, "models")
    found = evaluation.comparisons[places[0]]
    features = evaluation.rows.baseline_features
    name = found.metric.replace("_", " ").replace("f1", "F1").capitalize()
    low, high = (fixed(100 * end, 2, sign=True) for end in found.interval)
    lines = (
        f"{name} {score_text(found.value)}; TF-IDF + LinearSVC{f' on {features}' if features else ''} has "
        f"{score_text(found.opponent_value)}.",
        f"Difference {fixed(100 * found.difference, 2, sign=True)} points, {evaluation.config.confidence:.0%} interval "
        f"{low} to {high}; {_test(found)}.",
    )
    num_seen = 0 if evaluation.rows.seen_in_training is None else int(evaluation.rows.seen_in_training.sum())
    if num_seen > 0.05 * evaluation.rows.num_rows:
        share = percent_text(num_seen / evaluation.rows.num_rows)
        return Answer(question, f"Not known: it has seen {share} of these rows.", lines, Tone.bad, "models")
    match found.verdict:
        case Verdict.better:
            points = fixed(100 * found.difference, 2)
            return Answer(question, f"Yes, by {points} points, beyond chance.", lines, Tone.good, "models")
        case Verdict.worse:
            return Answer(question, "No, it is worse beyond chance.", lines, Tone.bad, "models")
        case Verdict.equal:
            return Answer(question, "The difference is within chance.", lines, Tone.mixed, "models")


def _test(found: Comparison) -> str:
    if found.metric != "accuracy":
        return f"paired bootstrap p {format_p_value(found.bootstrap_p_value)}"
    return (
        f"right on {counted(found.num_won, 'row')} where the baseline is wrong, wrong on {found.num_lost:,} where it "
        f"is right (McNemar p {format_p_value(found.p_value)})"
    )


def _confused(evaluation: Evaluation) -> Answer:
    question = "Which classes are confused?"
    num_wrong = int((~evaluation.correct).sum())
    if not num_wrong:
        return Answer(question, "None on these rows.", ("Every row is right.",), Tone.good, "confusion")
    if evaluation.rows.is_multi_label:
        names = _weakest(evaluation)
        lines = tuple(f"{name}: F1 {score_text(f1)} ({counted(rows, 'row')})" for name, f1, rows in names)
        return Answer(question, "Labels with the lowest F1:", lines, Tone.plain, "classes")
    # The pairs of the largest group are named with it.
    group = _mixed_up(evaluation)
    pairs = [pair for pair in _pairs(evaluation) if not {pair[0], pair[1]} <= set(group.labels)]
    lines = tuple(
        f"{first} and {second}: {num_rows:,} of their {counted(num_both, 'row')}"
        for first, second, num_rows, num_both in pairs
    )
    if group.labels:
        listed = f"{', '.join(group.labels[:-1])} and {group.labels[-1]}"
        among = ", among each other" if len(group.labels) > 2 else ""
        lines = (f"{listed}{among}: {group.num_wrong:,} of their {counted(group.num_rows, 'row')}", *lines)
    num_others = num_wrong - group.num_wrong - sum(num_rows for _, _, num_rows, _ in pairs)
    if num_others:
        lines += (f"The other {counted(num_others, 'wrong row')} are of other pairs.",)
    return Answer(question, f"{counted(num_wrong, 'row')} wrong; mixed up most:", lines, Tone.plain, "confusion")


def _pairs(evaluation: Evaluation) -> list[tuple[str, str, int, int]]:
    """Return the labels that are taken for each other most: both names, the wrong rows both ways, the rows of both."""
    assert evaluation.confusion is not None
    labels = evaluation.rows.labels
    counts = evaluation.confusion[: len(labels)]
    # (L, L) both directions together, each pair once.
    both = np.triu(counts + counts.T, k=1)
    ranked = np.argsort(-both, axis=None, kind="stable")[:_MOST_NAMED]
    totals = counts.sum(axis=1)
    return [
        (labels[first], labels[second], int(both[first, second]), int(totals[first] + totals[second]))
        for first, second in zip(*np.unravel_index(ranked, both.shape), strict=True)
        if both[first, second]
    ]


class _Group(NamedTuple):
    """Labels that are taken for one another."""

    labels: list[str]
    num_wrong: int
    """Rows of one of them that got another one of them."""
    num_rows: int
    """Rows of all of them."""


def _mixed_up(evaluation: Evaluation) -> _Group:
    """Return the group of labels with the most rows confused within it: pairs with half the rows of the first join."""
    assert evaluation.confusion is not None
    labels = evaluation.rows.labels
    counts = evaluation.confusion[: len(labels)]
    both = np.triu(counts + counts.T, k=1)
    groups: list[set[int]] = []
    for one, other in np.argwhere(both >= max(2, both.max(initial=0) / 2)).tolist():
        # Groups that the pair touches become one.
        touched = [group for group in groups if one in group or other in group]
        groups = [group for group in groups if group not in touched]
        groups.append({one, other}.union(*touched))
    found = [
        _Group([labels[k] for k in sorted(group)], _num_within(both, group), int(counts[sorted(group)].sum()))
        for group in groups
    ]
    # A group of all labels, or of too many to be named, says nothing.
    named = [group for group in found if len(group.labels) <= min(_MOST_IN_GROUP, len(labels) - 1)]
    return max(named, key=lambda group: group.num_wrong, default=_Group([], 0, 0))


def _num_within(both: NDArray[np.int64], group: set[int]) -> int:
    chosen = sorted(group)
    return int(both[np.ix_(chosen, chosen)].sum())


def _to_fix(evaluation: Evaluation) -> Answer:
    question = "What should be fixed in the data?"
    rows, lines = evaluation.rows, list[str]()
    if rows.seen_in_training is not None and rows.seen_in_training.any():
        num_seen = int(rows.seen_in_training.sum())
        new = ~rows.seen_in_training
        without = f": accuracy without them is {score_text(float(evaluation.correct[new].mean()))}" if new.any() else ""
        lines.append(f"{counted(num_seen, 'test row')} also in the training rows{without}.")
    if rows.near_training is not None and rows.near_training.any():
        others = ~rows.near_training
        share = percent_text(float(rows.near_training.mean()))
        line = f"{counted(int(rows.near_training.sum()), 'test row')} ({share}) almost equal to a training row"
        if others.any():
            line += f": accuracy without them is {score_text(float(evaluation.correct[others].mean()))}"
        lines.append(f"{line}.")
    sure = np.flatnonzero(~evaluation.correct & (evaluation.confidences >= SURE))
    if len(sure):
        # The surest first, as in the table of wrong rows.
        first = [rows.ids[row] for row in sure[np.argsort(-evaluation.confidences[sure], kind="stable")][:_MOST_NAMED]]
        named = f"row{'' if len(first) == 1 else 's'} {', '.join(first)}"
        lines.append(
            f"{counted(len(sure), 'test row')} wrong at a probability of {percent_text(SURE, decimals=0)} or more: "
            f"their label may be wrong, or the model too sure. Look at {named} first."
        )
    weak = [entry for entry in _weakest(evaluation) if entry[1] < 0.8 * evaluation.metrics.values["macro_f1"]]
    if weak:
        shown = ", ".join(f"{name} ({score_text(f1)})" for name, f1, _ in weak)
        lines.append(f"Lowest F1: {shown}. More or clearer training rows help there most.")
    below = [
        part
        for part in evaluation.slices
        if part.group != "class"
        and not part.is_small
        and part.p_value < 1 - evaluation.config.confidence
        and part.num_correct / part.num_rows < evaluation.correct.mean()
    ]
    lines += [
        f"Rows with {part.group} {part.value} are right less often: {score_text(part.accuracy)}."
        for part in sorted(below, key=lambda part: part.accuracy)[:1]
    ]
    # What was looked for and not found is said, too: a reader cannot know that it was.
    unseen = rows.seen_in_training is not None and not rows.seen_in_training.any()
    unlike = rows.near_training is not None and not rows.near_training.any()
    clean = ("No test row is among the training rows, or almost equal to one.",) if unseen and unlike else ()
    if unseen and rows.near_training is None:
        clean = ("No test row is among the training rows.",)
    if not lines:
        return Answer(question, "Nothing stands out.", clean, Tone.good, "classes")
    short = f"{counted(len(lines), 'thing')} to look at:"
    return Answer(question, short, (*lines[:4], *clean), Tone.mixed, "wrong")


def _alone(evaluation: Evaluation) -> Answer:
    question = "Can it decide alone?"
    found = evaluation.abstention
    error = 1 - float(evaluation.correct.mean())
    # A threshold that was fixed at training comes first: it was not chosen on these rows.
    if found is not None and found.num_accepted:
        kept = "" if not found.max_error else f"; at most {percent_text(found.max_error)} was guaranteed"
        lines: tuple[str, ...] = (
            f"Below probability {found.threshold:.3f} it leaves the row to a person.",
            f"It is wrong in {percent_text(found.error, decimals=2)} of what it decides{kept}.",
        )
        tone = Tone.good if not found.max_error or found.kept else Tone.bad
        return Answer(question, f"It decides {percent_text(found.coverage)} of the rows.", lines, tone, "abstention")
    short = f"Deciding every row, it is wrong in {percent_text(error)}."
    table = choices(evaluation)
    useful = [choice for choice in table[:-1] if choice.coverage >= 0.3 and choice.error <= error / 2]
    if not useful:
        return Answer(
            question,
            short,
            ("No threshold halves the errors and decides a third of the rows.",) if error else (),
            Tone.good if error < 0.02 else Tone.mixed,
            "abstention",
        )
    best = useful[-1]
    wished = next(most for most in _ERRORS if best.error <= most)
    lines = (
        f"It decides the rows from probability {best.threshold:.2f} on; a person decides the other {best.num_left:,}. "
        f"Of what it decides, {percent_text(best.error)} is wrong ({evaluation.config.confidence:.0%} interval "
        f"{percent_text(best.interval.low)} to {percent_text(best.interval.high)}).",
        short,
        "The probability was chosen on these rows, so new rows may do worse. Train with "
        f"evaluation.max_error={wished:g} to get one that holds for new rows.",
    )
    share = f"{percent_text(best.coverage)} of the rows, with {percent_text(best.error)} wrong."
    return Answer(question, share, lines, Tone.good if error < 0.02 else Tone.mixed, "abstention")


def _weakest(evaluation: Evaluation) -> Sequence[tuple[str, float, int]]:
    """Return name, F1 and rows of the labels with the lowest F1 that occur in these rows."""
    counts, labels = evaluation.metrics.class_values, evaluation.rows.labels
    present = [index for index in range(len(labels)) if counts.support[index]]
    ranked = sorted(present, key=lambda index: float(counts.f1[index]))[:_MOST_NAMED]
    return [(labels[index], float(counts.f1[index]), int(counts.support[index])) for index in ranked]
