"""The evaluation as plain data: what `metrics.json` holds."""

import math
from collections.abc import Mapping
from typing import Any

from textlstm.evaluation.calibration import ReliabilityBins
from textlstm.evaluation.comparison import Comparison
from textlstm.evaluation.coverage import Abstention
from textlstm.evaluation.evaluate import TOGETHER, Evaluation
from textlstm.evaluation.metrics import Metrics
from textlstm.evaluation.removal import num_flipped
from textlstm.evaluation.resampling import Interval
from textlstm.evaluation.rows import UNKNOWN_LABEL, ScoredRows

Json = Any  # plain data: None, bool, int, float, str, lists and dicts of these


def summarize(evaluation: Evaluation) -> dict[str, Json]:
    """Return the contents of `metrics.json`: the model's figures on top, everything else nested; no texts.

    Figures that are undefined on these rows (ROC-AUC with one class) are null.
    """
    names = (*evaluation.rows.labels, UNKNOWN_LABEL)
    figures = {name: _number(value) for name, value in evaluation.metrics.values.items()}
    summary: dict[str, Json] = {name: figures.pop(name) for name in ("accuracy", "macro_f1")}
    summary |= {
        "num_examples": evaluation.rows.num_rows,
        **figures,
        "expected_calibration_error": evaluation.reliability.expected_error,
        "num_labels": len(evaluation.rows.labels),
        "task": evaluation.rows.task.value,
        "top_k": evaluation.config.top_k,
        "confidence": evaluation.config.confidence,
        "signature": evaluation.signature,
        "warnings": list(evaluation.warnings),
        "intervals": _intervals(evaluation.metrics.intervals),
        "models": {
            name: _figures(metrics) for name, metrics in {TOGETHER: evaluation.metrics, **evaluation.others}.items()
        },
        "comparisons": {
            name: _comparison(comparison)
            for name, comparison in zip(evaluation.others, evaluation.comparisons, strict=True)
        },
        "per_class": _per_class(evaluation.metrics, names),
        "calibration": {
            "after": _bins(evaluation.reliability),
            "before": None if evaluation.reliability_before is None else _bins(evaluation.reliability_before),
        },
        "risk_coverage_area": evaluation.coverage.area,
        "abstention": None if evaluation.abstention is None else _abstention(evaluation.abstention),
        "slices": [
            {
                "group": part.group,
                "value": part.value,
                "num_rows": part.num_rows,
                "accuracy": part.accuracy,
                "interval": _pair(part.interval),
                "p_value": part.p_value,
                "small": part.is_small,
            }
            for part in evaluation.slices
        ],
        "removal": _removal(evaluation.rows),
        "confused_pairs": [
            {"label": pair.label, "predicted_label": pair.predicted_label, "num_rows": pair.num_rows}
            for pair in evaluation.confused
        ],
    }
    return summary


def _figures(metrics: Metrics) -> dict[str, Json]:
    return {
        **{name: _number(value) for name, value in metrics.values.items()},
        "intervals": _intervals(metrics.intervals),
    }


def _per_class(metrics: Metrics, names: tuple[str, ...]) -> dict[str, Json]:
    counts, intervals = metrics.class_values, metrics.class_intervals
    return {
        names[index]: {
            "precision": float(counts.precision[index]),
            "recall": float(counts.recall[index]),
            "f1": float(counts.f1[index]),
            "support": int(counts.support[index]),
            "predicted": int(counts.predicted[index]),
            "intervals": {name: _pair(values[index]) for name, values in intervals.items()},
        }
        for index in range(len(counts.support))
    }


def _comparison(comparison: Comparison) -> Json:
    return {
        "metric": comparison.metric,
        "value": comparison.value,
        "opponent_value": comparison.opponent_value,
        "difference": comparison.difference,
        "interval": _pair(comparison.interval),
        "macro_f1_difference": comparison.macro_f1_difference,
        "macro_f1_interval": _pair(comparison.macro_f1_interval),
        "num_won": comparison.num_won,
        "num_lost": comparison.num_lost,
        "mcnemar_p": comparison.p_value,
        "verdict": comparison.verdict.value,
        "sentence": comparison.sentence,
    }


def _abstention(abstention: Abstention) -> Json:
    return {
        "threshold": abstention.threshold,
        "max_error": abstention.max_error,
        "num_accepted": abstention.num_accepted,
        "coverage": abstention.coverage,
        "error": abstention.error,
        "interval": _pair(abstention.interval),
        "kept": abstention.kept,
    }


def _bins(bins: ReliabilityBins) -> Json:
    return {
        "expected_calibration_error": bins.expected_error,
        "counts": [int(count) for count in bins.counts],
        "mean_confidence": [_number(float(value)) for value in bins.mean_confidence],
        "share_correct": [_number(float(value)) for value in bins.share_correct],
    }


def _removal(rows: ScoredRows) -> Json:
    """Return what removing words did: rows that lost some, and those with another prediction without the removal."""
    if rows.removed_words is None:
        return None
    return {"num_rows": sum(map(bool, rows.removed_words)), "num_flipped": num_flipped(rows)}


def _intervals(intervals: Mapping[str, Interval]) -> Json:
    return {name: _pair(interval) for name, interval in intervals.items()}


def _pair(interval: Interval) -> list[Json]:
    return [_number(interval.low), _number(interval.high)]


def _number(value: float) -> float | None:
    """JSON has no NaN: undefined figures become null."""
    return value if math.isfinite(value) else None
