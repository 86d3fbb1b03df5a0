"""From scored rows to everything that is known about the model: `evaluate_rows`."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textlstm.config import EvaluationConfig
from textlstm.evaluation.abstention import Abstention, RiskCoverage, abstention, decision_confidence, risk_coverage
from textlstm.evaluation.bootstrap import Resamples
from textlstm.evaluation.calibration import ReliabilityBins, decision_bins
from textlstm.evaluation.comparison import Comparison, compare
from textlstm.evaluation.confusion import (
    ConfusedPair,
    RemovedWord,
    confused_pairs,
    confusion_counts,
    hardest_rows,
    removal_effects,
)
from textlstm.evaluation.metrics import Metrics, compute_decision_metrics, compute_metrics
from textlstm.evaluation.scored_rows import UNKNOWN_TARGET, Booleans, Floats, Integers, ScoredRows, correct_rows
from textlstm.evaluation.slices import Slice, cut_slices
from textlstm.figure_text import counted, percent_text

# A line that names what a score depends on, so that equal signatures mean comparable scores (after sacreBLEU).


def rows_digest(rows: ScoredRows) -> str:
    """Return the sha256 of texts and targets in order: the same digest means the same evaluated rows."""
    digest = hashlib.sha256()
    for text in rows.texts:
        encoded = text.encode("utf-8", "surrogatepass")
        # The length before each text keeps ("ab", "c") and ("a", "bc") apart.
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    digest.update("\0".join(rows.labels).encode("utf-8", "surrogatepass"))
    digest.update(rows.targets.astype("<i8").tobytes())
    return digest.hexdigest()


def signature(rows: ScoredRows, config: EvaluationConfig) -> str:
    """Return the line, such as `rows:2189|labels:8|task:single_label|data:3f2a...|boot:1000|...`."""
    parts = {
        "rows": rows.num_rows,
        "labels": len(rows.labels),
        "task": rows.task.value,
        "data": rows_digest(rows)[:12],
        "topk": config.top_k,
        "boot": config.bootstrap_samples,
        "conf": config.confidence,
        "seed": config.seed,
        "textlstm": _version("textlstm"),
        "numpy": _version("numpy"),
    }
    return "|".join(f"{name}:{value}" for name, value in parts.items())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "source"


TOGETHER, RECURRENT, EXPERT = "together", "recurrent", "expert"
BASELINE, CHAMPION, MAJORITY = "baseline", "champion", "majority"

OPPONENT_NAMES = {
    BASELINE: "the TF-IDF baseline",
    CHAMPION: "the champion",
    MAJORITY: "the majority class",
    RECURRENT: "its recurrent branch alone",
    EXPERT: "its linear expert alone",
}
"""Names of opponents in a sentence."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was found out about a model on N rows."""

    rows: ScoredRows
    config: EvaluationConfig
    predictions: Integers | Booleans
    """(N,) label ids or (N, L) bool."""
    confidences: NDArray[np.float64]
    """(N,) stated probability of each decision."""
    correct: Booleans
    """(N,)."""
    metrics: Metrics
    """Of the model as it is used."""
    others: dict[str, Metrics]
    """Of its branches (recurrent, expert) and opponents (baseline, champion, majority), as far as given."""
    comparisons: list[Comparison]
    reliability: ReliabilityBins
    reliability_before: ReliabilityBins | None
    """Before the temperature was applied."""
    coverage: RiskCoverage
    abstention: Abstention | None
    """Present when the model has a threshold."""
    confusion: Integers | None
    """(L + 1, L); absent for multi-label."""
    slices: list[Slice]
    hardest: list[int]
    confused: list[ConfusedPair]
    removed: list[RemovedWord]
    """Words whose removal went with changed predictions; empty where that was not looked at."""
    signature: str
    warnings: tuple[str, ...]

    @property
    def main_figure(self) -> str:
        """The figure that a model is named and compared by: `accuracy`, or `micro_f1` with several labels a row."""
        return "micro_f1" if self.rows.is_multi_label else "accuracy"

    def flat_metrics(self) -> dict[str, float]:
        """Return every single number by a plain name, for a tracker: the model's, then `recurrent_accuracy` etc."""
        flat = dict(self.metrics.values)
        flat["expected_calibration_error"] = self.reliability.expected_error
        if self.reliability_before is not None:
            flat["expected_calibration_error_before"] = self.reliability_before.expected_error
        flat["risk_coverage_area"] = self.coverage.area
        if self.rows.seen_in_training is not None:
            flat["seen_in_training"] = float(self.rows.seen_in_training.mean())
        if self.abstention is not None:
            flat["accepted_fraction"] = self.abstention.coverage
            flat["accepted_error"] = self.abstention.error
        for name, metrics in self.others.items():
            flat.update({f"{name}_{figure}": value for figure, value in metrics.values.items()})
        return {name: value for name, value in flat.items() if np.isfinite(value)}

    def tracked_metrics(self) -> dict[str, float]:
        """Return the figures that are worth a chart each: those of `flat_metrics` less most of the opponents'.

        Of each opponent two figures stay, accuracy and macro-F1; `models_table` has all of them.
        """
        kept = {f"{name}_{figure}" for name in self.others for figure in ("accuracy", "macro_f1")}
        opponents = tuple(f"{name}_" for name in self.others)
        return {
            name: value for name, value in self.flat_metrics().items() if name in kept or not name.startswith(opponents)
        }

    def models_table(self) -> dict[str, list[Any]]:
        """Return every model with its figures as `columns` and `data`, which MLflow shows as a table."""
        models = {TOGETHER: self.metrics, **self.others}
        figures = list(dict.fromkeys(name for metrics in models.values() for name in metrics.values))
        data = [
            [name, *(_rounded(metrics.values.get(figure)) for figure in figures)] for name, metrics in models.items()
        ]
        return {"columns": ["model", *figures], "data": data}


def _rounded(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(value, 4)


def evaluate_rows(
    rows: ScoredRows,
    config: EvaluationConfig,
    *,
    threshold: float | None = None,
    max_error: float | None = None,
    warnings: Sequence[str] = (),
) -> Evaluation:
    """Return figures with intervals, comparisons, calibration, abstention, slices and examples.

    Args:
        rows: what is true and what was said; at least one row.
        config: number of resamples, confidence, k, seed.
        threshold: the model's abstention threshold; None when it has none.
        max_error: the error rate guaranteed with that threshold; None: that of `config`.
        warnings: what else limits the figures, in words.
    """
    # Decisions
    predictions = rows.predictions()
    confidences = decision_confidence(rows.probabilities, predictions, task=rows.task)
    correct = correct_rows(rows.targets, predictions)

    # Figures of the model, its branches and its opponents, all on the same resamples
    resamples = Resamples(rows.num_rows, config.bootstrap_samples, config.seed, config.confidence)
    metrics = _model_metrics(rows, rows.probabilities, config=config, resamples=resamples)
    others: dict[str, Metrics] = {}
    comparisons: list[Comparison] = []
    for opponent in _opponents(rows):
        others[opponent.name] = _opponent_metrics(rows, opponent, config=config, resamples=resamples)
        opponent_correct = correct_rows(rows.targets, opponent.predictions)
        comparisons.append(
            compare(
                metrics,
                others[opponent.name],
                opponent=OPPONENT_NAMES[opponent.name],
                correct=correct,
                opponent_correct=opponent_correct,
                resamples=resamples,
            )
        )

    # What to trust, and where it fails
    before = rows.uncalibrated_probabilities
    return Evaluation(
        rows=rows,
        config=config,
        predictions=predictions,
        confidences=confidences,
        correct=correct,
        metrics=metrics,
        others=others,
        comparisons=comparisons,
        reliability=decision_bins(rows.targets, rows.probabilities, task=rows.task),
        reliability_before=None if before is None else decision_bins(rows.targets, before, task=rows.task),
        coverage=risk_coverage(confidences, correct),
        abstention=None
        if threshold is None
        else abstention(
            confidences,
            correct,
            threshold=threshold,
            max_error=config.max_error if max_error is None else max_error,
            confidence=config.confidence,
        ),
        confusion=None if rows.is_multi_label else confusion_counts(rows, predictions),
        slices=cut_slices(rows, correct, confidence=config.confidence),
        hardest=hardest_rows(correct, confidences, limit=config.num_examples),
        confused=confused_pairs(rows, predictions, confidences, limit=config.num_examples),
        removed=removal_effects(rows, limit=config.num_examples),
        signature=signature(rows, config),
        warnings=(*warnings, *_warnings(rows)),
    )


@dataclass(frozen=True, slots=True)
class _Opponent:
    name: str
    predictions: Integers | Booleans
    probabilities: Floats | None


def _opponents(rows: ScoredRows) -> Iterator[_Opponent]:
    """Everything the model is compared with, as far as it is given."""
    # A recurrent branch alone is an opponent only where an expert stands beside it.
    branches = {
        RECURRENT: rows.recurrent_probabilities if rows.expert_probabilities is not None else None,
        EXPERT: rows.expert_probabilities,
        CHAMPION: rows.champion_probabilities,
    }
    # The order here is the order of the comparisons; the baseline and the majority class have decisions only.
    if rows.baseline_predictions is not None:
        yield _Opponent(BASELINE, rows.baseline_predictions, None)
    for name, probabilities in branches.items():
        if probabilities is not None:
            yield _Opponent(name, rows.predictions(probabilities), probabilities)
    if not rows.is_multi_label:
        yield _Opponent(MAJORITY, np.full(rows.num_rows, _majority(rows), dtype=np.int64), None)


def _majority(rows: ScoredRows) -> int:
    if rows.majority_label is not None:
        return rows.majority_label
    known = rows.targets[rows.targets != UNKNOWN_TARGET].astype(np.int64)
    return int(np.bincount(known, minlength=len(rows.labels)).argmax())


def _model_metrics(
    rows: ScoredRows, probabilities: Floats, *, config: EvaluationConfig, resamples: Resamples, ranking: bool = True
) -> Metrics:
    return compute_metrics(
        rows.targets,
        probabilities,
        task=rows.task,
        predictions=rows.predictions(probabilities),
        top_k=config.top_k,
        resamples=resamples,
        ranking=ranking,
    )


def _opponent_metrics(
    rows: ScoredRows, opponent: _Opponent, *, config: EvaluationConfig, resamples: Resamples
) -> Metrics:
    if opponent.probabilities is not None:
        return _model_metrics(rows, opponent.probabilities, config=config, resamples=resamples, ranking=False)
    return compute_decision_metrics(
        rows.targets, opponent.predictions, num_labels=len(rows.labels), resamples=resamples, task=rows.task
    )


def seen_warning(rows: ScoredRows) -> str | None:
    """Return how many rows the model learned from, in a sentence; None where it is none, or not known."""
    num_seen = 0 if rows.seen_in_training is None else int(rows.seen_in_training.sum())
    if not num_seen:
        return None
    were = "was" if num_seen == 1 else "were"
    share = percent_text(num_seen / rows.num_rows)
    return (
        f"{num_seen:,} of {counted(rows.num_rows, 'row')} ({share}) {were} seen in training: the figures are "
        "better than those of new rows would be."
    )


def _warnings(rows: ScoredRows) -> Iterator[str]:
    """What limits the figures, in words."""
    if (seen := seen_warning(rows)) is not None:
        yield seen
    if rows.is_multi_label:
        present = np.asarray(rows.targets, dtype=np.int64).sum(axis=0)
    else:
        num_unknown = int((rows.targets == UNKNOWN_TARGET).sum())
        if num_unknown:
            yield (
                f"{num_unknown} rows have a label that the model does not know: they count as wrong, "
                "and log loss, Brier score and ranking figures leave them out."
            )
        # (L,) rows of each known label.
        present = np.bincount(rows.targets[rows.targets >= 0].astype(np.int64), minlength=len(rows.labels))
    # These rows cannot show how well the model finds labels without a row.
    absent = [label for label, count in zip(rows.labels, present, strict=True) if not count]
    if absent:
        shown = ", ".join(repr(label) for label in absent[:5]) + (" and others" if len(absent) > 5 else "")
        yield f"{len(absent)} of {len(rows.labels)} labels do not occur in these rows: {shown}."
    if rows.num_rows < 100:
        yield f"Only {rows.num_rows} rows: the intervals are wide, and bootstrap intervals of few rows are too narrow."
