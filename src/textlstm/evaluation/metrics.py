"""Every figure of one model on one set of rows, each with its bootstrap interval.

The point values equal scikit-learn's (tests compare them); they are computed here because a thousand weighted
resamples of 25,000 rows must take seconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack

from textlstm.config import Task
from textlstm.evaluation.bootstrap import Interval, Resamples
from textlstm.evaluation.confusion import f1_score
from textlstm.evaluation.ranking import RankedLabels
from textlstm.evaluation.scored_rows import UNKNOWN_TARGET, Booleans, Floats, Integers, correct_rows, decide

# Precision, recall, F1, MCC and their averages from class counts; vectorized over bootstrap resamples.

Values = NDArray[np.float64]


class ClassCounts(NamedTuple):
    """What happened to each label, (..., L) each."""

    true_positives: Values
    support: Values
    """Rows that have the label."""
    predicted: Values
    """Rows that were given the label."""

    @property
    def precision(self) -> Values:
        """(..., L)."""
        return _ratio(self.true_positives, self.predicted)

    @property
    def recall(self) -> Values:
        """(..., L)."""
        return _ratio(self.true_positives, self.support)

    @property
    def f1(self) -> Values:
        """(..., L): 2 TP / (rows that have the label + rows that were given it)."""
        return f1_score(self.true_positives, self.support, self.predicted)

    @property
    def present(self) -> NDArray[np.bool_]:
        """(..., L): the label occurs as truth or as prediction."""
        return (self.support + self.predicted) > 0


def row_contributions(targets: Integers | Booleans, predictions: Integers | Booleans, *, num_labels: int) -> csr_matrix:
    """Return (3 L', N): what each row adds to true positives, support and predicted, one under the other.

    L' is `num_labels`, plus one for the unknown label when single-label targets hold -1.
    """
    num_rows = len(targets)
    if targets.ndim == 1:
        # Unknown labels get a class of their own, which nothing is ever predicted as.
        unknown = targets == UNKNOWN_TARGET
        width = num_labels + int(unknown.any())
        rows = np.arange(num_rows)
        truth_ids = np.where(unknown, num_labels, targets).astype(np.int64)
        truth = csr_matrix((np.ones(num_rows), (rows, truth_ids)), shape=(num_rows, width))
        given = csr_matrix((np.ones(num_rows), (rows, predictions.astype(np.int64))), shape=(num_rows, width))
    else:
        truth, given = csr_matrix(targets.astype(np.float64)), csr_matrix(predictions.astype(np.float64))
    # Three (N, L') blocks side by side, turned to (3 L', N) for the product with weights.
    return csr_matrix(hstack([truth.multiply(given), truth, given]).T)


def class_counts(contributions: csr_matrix, weights: Values) -> ClassCounts:
    """Return counts (b, L') of rows weighted by `weights` (b, N)."""
    # One sparse product gives the counts of all resamples of a block: (3 L', N) by (N, b).
    totals = np.asarray(contributions @ weights.T).T
    true_positives, support, predicted = np.split(totals, 3, axis=-1)
    return ClassCounts(true_positives, support, predicted)


def count_metrics(counts: ClassCounts, *, single_label: bool) -> dict[str, Values]:
    """Return every averaged figure by name, shaped like the leading axes of `counts`."""
    present = counts.present
    # Sums over labels for micro figures; macro figures are means over the labels that occur.
    hits, support, predicted = (values.sum(axis=-1) for values in counts)
    figures = {
        "macro_f1": _mean(counts.f1, present),
        "micro_f1": f1_score(hits, support, predicted),
        "weighted_f1": _ratio((counts.f1 * counts.support).sum(axis=-1), support),
        "macro_precision": _mean(counts.precision, present),
        "macro_recall": _mean(counts.recall, present),
    }
    if single_label:
        figures["accuracy"] = _ratio(hits, support)
        figures["balanced_accuracy"] = _mean(counts.recall, counts.support > 0)
        figures["mcc"] = matthews_correlation(counts)
    else:
        figures["micro_precision"] = _ratio(hits, predicted)
        figures["micro_recall"] = _ratio(hits, support)
    return figures


def matthews_correlation(counts: ClassCounts) -> Values:
    """Return the multi-class Matthews correlation (Gorodkin 2004); 0 where it is undefined."""
    hits, total = counts.true_positives.sum(axis=-1), counts.support.sum(axis=-1)
    covariance = hits * total - (counts.support * counts.predicted).sum(axis=-1)
    spread = (total**2 - (counts.predicted**2).sum(axis=-1)) * (total**2 - (counts.support**2).sum(axis=-1))
    return _ratio(covariance, np.sqrt(np.maximum(spread, 0)))


def _ratio(numerator: Values, denominator: Values) -> Values:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator, dtype=np.float64), where=denominator != 0)


def _mean(values: Values, where: NDArray[np.bool_]) -> Values:
    return _ratio(np.where(where, values, 0.0).sum(axis=-1), where.sum(axis=-1).astype(np.float64))


_RANKING_CELLS = 3_000_000_000
"""Rows x labels x resamples spent on ROC-AUC and average precision; larger problems get fewer resamples."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Figures of one model: value, interval and bootstrap replicates by name."""

    values: dict[str, float]
    intervals: dict[str, Interval]
    replicates: dict[str, Values]
    """(B,) each, of the same resamples for every model."""
    class_values: ClassCounts
    """(L',) counts; L' has one more entry when some rows have a label that the model does not know."""
    class_intervals: dict[str, list[Interval]]
    """precision, recall, f1: one interval a class."""


def compute_metrics(
    targets: Integers | Booleans,
    probabilities: Floats,
    *,
    task: Task,
    predictions: Integers | Booleans | None = None,
    top_k: int = 3,
    resamples: Resamples,
    ranking: bool = True,
) -> Metrics:
    """Return the figures of a model that gives probabilities.

    Args:
        targets: (N,) int64 with -1 for labels that the model does not know, or (N, L) bool.
        probabilities: (N, L).
        task: single- or multi-label.
        predictions: (N,) or (N, L) bool; absent: the most probable label, or the labels from 0.5 on.
        top_k: k of top-k accuracy.
        resamples: the draws behind the intervals.
        ranking: also ROC-AUC and average precision, the costly ones.
    """
    # Figures of the decisions first, then figures of the probabilities.
    if predictions is None:
        predictions = decide(probabilities, task)
    metrics = compute_decision_metrics(
        targets, predictions, num_labels=probabilities.shape[1], resamples=resamples, task=task
    )
    # Rows whose label the model does not know have no probability for it: most figures leave them out.
    known = np.ones(len(targets), bool) if task is Task.multi_label else np.asarray(targets != UNKNOWN_TARGET)
    per_row = _row_figures(targets, probabilities.astype(np.float64), task=task, top_k=top_k)
    _add_row_means(metrics, per_row, known=known, resamples=resamples)
    if ranking:
        _add_ranking(metrics, _positives(targets, probabilities.shape[1]), probabilities, resamples=resamples)
    return metrics


def compute_decision_metrics(
    targets: Integers | Booleans,
    predictions: Integers | Booleans,
    *,
    num_labels: int,
    resamples: Resamples,
    task: Task,
) -> Metrics:
    """Return the figures that need decisions alone: accuracy, F1, MCC; and per-class precision, recall and F1."""
    # Count each label on the rows themselves and on every resample, block by block.
    contributions = row_contributions(targets, predictions, num_labels=num_labels)
    counts = class_counts(contributions, np.ones((1, len(targets))))
    single_label = task is Task.single_label
    blocks = [class_counts(contributions, weights) for weights in resamples.blocks()]
    resampled = ClassCounts(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))
    replicates = count_metrics(resampled, single_label=single_label)
    # The same function gives the values and the (B,) replicates behind their intervals.
    values = {name: float(value[0]) for name, value in count_metrics(counts, single_label=single_label).items()}
    metrics = Metrics(
        values=values,
        intervals={
            name: _interval(
                name, replicates[name], values[name], resamples, effective_rows=_effective_rows(name, counts)
            )
            for name in values
        },
        replicates=replicates,
        class_values=ClassCounts(*(value[0] for value in counts)),
        class_intervals=_class_intervals(counts, resampled, resamples),
    )
    # With several labels a row, accuracy is the share of rows that are right in every label.
    correct = correct_rows(targets, predictions)
    if not single_label:
        figures = {
            "subset_accuracy": correct.astype(np.float64),
            "hamming_loss": np.asarray(targets != predictions).mean(axis=1),
        }
        _add_row_means(metrics, figures, known=np.ones(len(targets), bool), resamples=resamples)
        metrics.values["accuracy"] = metrics.values["subset_accuracy"]
        metrics.intervals["accuracy"] = metrics.intervals["subset_accuracy"]
        metrics.replicates["accuracy"] = metrics.replicates["subset_accuracy"]
    return metrics


def _effective_rows(name: str, counts: ClassCounts) -> float | None:
    """Return how many rows a mean over K classes is worth: K^2 / sum(1 / rows of a class); None: as many as there are.

    For classes of equal size these are all rows. A class of few rows makes it uncertain, whatever the others have.
    """
    if not name.startswith(("macro_", "balanced_")):
        return None
    support = counts.support[0][counts.support[0] > 0]
    return float(len(support) ** 2 / (1 / support).sum()) if len(support) else None


def _interval(
    name: str, replicates: Values, point: float, resamples: Resamples, *, effective_rows: float | None = None
) -> Interval:
    """The interval of a figure inside the range that the figure can take."""
    lowest = -1.0 if name == "mcc" else 0.0
    # The squared error of several classes reaches 2, and log loss has no bound.
    highest = 2.0 if name == "brier" else float("inf") if name == "log_loss" else 1.0
    return resamples.interval(replicates, point, lowest=lowest, highest=highest, effective_rows=effective_rows)


def _class_intervals(counts: ClassCounts, resampled: ClassCounts, resamples: Resamples) -> dict[str, list[Interval]]:
    """Intervals for each class, over the resamples in which the figure is defined."""
    figures = {
        "precision": np.where(resampled.predicted > 0, resampled.precision, np.nan),
        "recall": np.where(resampled.support > 0, resampled.recall, np.nan),
        "f1": np.where(resampled.present, resampled.f1, np.nan),
    }
    # Where the figure is undefined on a resample, NaN leaves that resample out.
    points = {"precision": counts.precision[0], "recall": counts.recall[0], "f1": counts.f1[0]}
    return {
        name: [
            resamples.interval(column, float(point), effective_rows=float(max(rows, 1)))
            for column, point, rows in zip(values.T, points[name], counts.support[0], strict=True)
        ]
        for name, values in figures.items()
    }


def _row_figures(targets: Integers | Booleans, probabilities: Values, *, task: Task, top_k: int) -> dict[str, Values]:
    """Figures that are means over rows, (N,) each; rows with unknown targets hold what is never read."""
    smallest = np.finfo(np.float64).eps
    if task is Task.multi_label:
        chosen = np.clip(np.where(targets, probabilities, 1 - probabilities), smallest, 1.0)
        return {
            "log_loss": -np.log(chosen).mean(axis=1),
            "brier": ((probabilities - targets) ** 2).mean(axis=1),
            "ranking_loss": _ranking_loss(np.asarray(targets, dtype=np.bool_), probabilities),
        }
    rows = np.arange(len(targets))
    # Unknown targets index label 0 here; the caller leaves those rows out.
    known_targets = np.where(targets == UNKNOWN_TARGET, 0, targets)
    of_truth = probabilities[rows, known_targets]
    # The sum of squared differences to a one-hot target, without building the target.
    squares = (probabilities**2).sum(axis=1) - of_truth**2 + (1 - of_truth) ** 2
    # (N, k): unknown targets are -1 and never among the labels, so they count as missed.
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
    hits = (order == np.asarray(targets)[:, None]).any(axis=1)
    return {
        "log_loss": -np.log(np.clip(of_truth, smallest, 1.0)),
        "brier": squares / 2 if probabilities.shape[1] == 2 else squares,
        "top_k_accuracy": hits.astype(np.float64),
    }


def _ranking_loss(targets: Booleans, probabilities: Values) -> Values:
    """(N,) part of the (label of the row, other label) pairs in the wrong order, ties counted as wrong."""
    losses = np.zeros(len(targets))
    # Blocks of rows bound the memory of the (rows, L, L) comparison.
    for start in range(0, len(targets), 512):
        truth, scores = targets[start : start + 512], probabilities[start : start + 512]
        wrong = scores[:, :, None] <= scores[:, None, :]
        wrong &= truth[:, :, None] & ~truth[:, None, :]
        num_pairs = truth.sum(axis=1) * (~truth).sum(axis=1)
        losses[start : start + 512] = wrong.sum(axis=(1, 2)) / np.maximum(num_pairs, 1)
    return losses


def _add_row_means(metrics: Metrics, figures: dict[str, Values], *, known: Booleans, resamples: Resamples) -> None:
    """Add means over the rows whose label is known (top-k: over all rows, unknown ones being wrong)."""
    names = list(figures)
    # (N, F + 1): the last column counts the known rows of each resample; one product a block sums all columns.
    table = np.stack([np.where(known, figures[name], 0.0) for name in names] + [known.astype(np.float64)], axis=1)
    sums = np.concatenate([weights @ table for weights in resamples.blocks()])
    counted = {name: len(known) if name == "top_k_accuracy" else int(known.sum()) for name in names}
    for column, name in enumerate(names):
        total = float(table[:, column].sum())
        metrics.values[name] = total / counted[name] if counted[name] else float("nan")
        # A resample may hold no known row; its figure is NaN then.
        divisor = np.full(len(sums), float(len(known))) if name == "top_k_accuracy" else sums[:, -1]
        replicates = np.divide(sums[:, column], divisor, out=np.full(len(sums), np.nan), where=divisor > 0)
        metrics.replicates[name] = replicates
        metrics.intervals[name] = _interval(name, replicates, metrics.values[name], resamples)


def _positives(targets: Integers | Booleans, num_labels: int) -> Booleans:
    if targets.ndim == 2:
        return np.asarray(targets, dtype=np.bool_)
    return np.asarray(targets[:, None] == np.arange(num_labels), dtype=np.bool_)


def _add_ranking(metrics: Metrics, positives: Booleans, probabilities: Floats, *, resamples: Resamples) -> None:
    """Add ROC-AUC and average precision, one label against the rest, averaged over labels."""
    # Sort once; each resample is then scored under its weights.
    ranked = RankedLabels.build(positives, probabilities)
    point = ranked.score(np.ones(len(positives)))
    metrics.values.update(point._asdict())
    # Large problems get fewer resamples, but at least 100.
    affordable = max(100, _RANKING_CELLS // max(1, positives.size))
    scores = np.array([ranked.score(weights) for weights in _draws(resamples, limit=affordable)])
    for column, name in enumerate(point._fields):
        metrics.replicates[name] = scores[:, column]
        metrics.intervals[name] = _interval(name, scores[:, column], point[column], resamples)


def _draws(resamples: Resamples, *, limit: int) -> Iterator[Values]:
    """Yield the first `limit` resamples (N,) one by one."""
    return islice((weights for block in resamples.blocks() for weights in block), limit)
