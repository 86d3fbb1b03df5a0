"""The evaluation as plain data: what `metrics.json` holds."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from textlstm.arrays.string_column import StringColumn
from textlstm.errors import InputError
from textlstm.evaluation.abstention import Abstention, decision_confidence
from textlstm.evaluation.bootstrap import Interval
from textlstm.evaluation.calibration import ReliabilityBins
from textlstm.evaluation.comparison import Comparison
from textlstm.evaluation.confusion import num_flipped
from textlstm.evaluation.evaluate import TOGETHER, Evaluation
from textlstm.evaluation.figures import Picture
from textlstm.evaluation.metrics import Metrics
from textlstm.evaluation.report import ClassWords, EpochPoint, Link, render_report
from textlstm.evaluation.scored_rows import UNKNOWN_LABEL, UNKNOWN_TARGET, Booleans, Floats, Integers, ScoredRows
from textlstm.storage.files import atomic_file, storage_errors

# `predictions.parquet`: one row a text, what was true and what everyone said.

ACCEPTED, ABSTAINED = "accepted", "abstained"


def predictions_table(evaluation: Evaluation, *, include_text: bool) -> pa.Table:
    """Return the table; the labels in the order of `probabilities` are in its metadata under `labels`.

    Columns: id, text (only with `include_text`), label (null where the model does not know it), predicted_label
    (multi-label: labels and predicted_labels, lists), probability, correct, decision, the same from each branch and
    opponent as far as given, num_tokens, unknown_share, and probabilities (list of L).
    """
    rows = evaluation.rows
    columns: dict[str, pa.Array | pa.ChunkedArray] = {"id": _strings(rows.ids, pa.string())}
    if include_text:
        columns["text"] = _strings(rows.texts, pa.large_string())
    # Truth and decision of the model.
    suffix = "labels" if rows.is_multi_label else "label"
    columns[suffix] = _names(rows.targets, rows.labels)
    columns[f"predicted_{suffix}"] = _names(evaluation.predictions, rows.labels)
    columns["probability"] = pa.array(evaluation.confidences, pa.float32())
    columns["correct"] = pa.array(evaluation.correct, pa.bool_())
    # Without a threshold every row is accepted.
    accepted = np.ones(rows.num_rows, dtype=np.bool_)
    if evaluation.abstention is not None:
        accepted = evaluation.confidences >= evaluation.abstention.threshold
    columns["decision"] = pa.array(np.where(accepted, ACCEPTED, ABSTAINED), pa.string())
    # What each branch and opponent says, as far as there is one.
    for name, probabilities in {
        "recurrent": rows.recurrent_probabilities,
        "expert": rows.expert_probabilities,
        "champion": rows.champion_probabilities,
    }.items():
        if probabilities is not None:
            said = rows.predictions(probabilities)
            columns[f"{name}_{suffix}"] = _names(said, rows.labels)
            columns[f"{name}_probability"] = pa.array(
                decision_confidence(probabilities, said, task=rows.task), pa.float32()
            )
    if rows.baseline_predictions is not None:
        columns[f"baseline_{suffix}"] = _names(rows.baseline_predictions, rows.labels)
    # What is known of the text.
    for name in ("num_tokens", "num_removed", "unknown_share"):
        values = getattr(rows, name)
        if values is not None:
            columns[name] = pa.array(values)
    columns["probabilities"] = _lists(rows.probabilities)
    table = pa.table(columns)
    return table.replace_schema_metadata({"labels": json.dumps(rows.labels), "signature": evaluation.signature})


def predictions_bytes(evaluation: Evaluation, *, include_text: bool) -> bytes:
    """Return the table as Parquet bytes."""
    buffer = io.BytesIO()
    pq.write_table(predictions_table(evaluation, include_text=include_text), buffer, compression="zstd")
    return buffer.getvalue()


def _strings(strings: Sequence[str], kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    # A column of a prepared corpus is taken as it is, in its file.
    return strings.column.cast(kind) if isinstance(strings, StringColumn) else pa.array(strings, kind)


def _names(label_ids: Integers | Booleans, labels: tuple[str, ...]) -> pa.Array:
    """Label names of (N,) ids, null for unknown ones; or lists of names of (N, L) flags."""
    if label_ids.ndim == 1:
        return pa.array([None if label == UNKNOWN_TARGET else labels[label] for label in label_ids], pa.string())
    lists = [[labels[label] for label in np.flatnonzero(flags)] for flags in label_ids]
    return pa.array(lists, pa.list_(pa.string()))


def _lists(probabilities: Floats) -> pa.Array:
    num_rows, num_labels = probabilities.shape
    flat = pa.array(np.ascontiguousarray(probabilities, dtype=np.float32).ravel())
    # (N, L) become one flat array with offsets; 64-bit ones, as N * L can pass the range of 32 bits.
    offsets = pa.array(np.arange(num_rows + 1, dtype=np.int64) * num_labels)
    return pa.LargeListArray.from_arrays(offsets, flat)


Json = Any  # plain data: None, bool, int, float, str, lists and dicts of these


def summarize(evaluation: Evaluation) -> dict[str, Json]:
    """Return the contents of `metrics.json`: the model's figures on top, everything else nested; no texts.

    Figures that are undefined on these rows (ROC-AUC with one class) are null.
    """
    names = (*evaluation.rows.labels, UNKNOWN_LABEL)
    figures = {name: _number(value) for name, value in evaluation.metrics.values.items()}
    # The two main figures stand first; the rest follows under names of their own.
    summary: dict[str, Json] = {name: figures.pop(name) for name in ("accuracy", "macro_f1")}
    summary |= {
        "num_examples": evaluation.rows.num_rows,
        **figures,
        "expected_calibration_error": evaluation.reliability.expected_error,
        "num_labels": len(evaluation.rows.labels),
        "num_seen_in_training": None
        if evaluation.rows.seen_in_training is None
        else int(evaluation.rows.seen_in_training.sum()),
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
        "bootstrap_p": comparison.bootstrap_p_value,
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


# The folder an evaluation leaves behind; file names live here alone.

METRICS_FILE = "metrics.json"
PREDICTIONS_FILE = "predictions.parquet"
REPORT_FILE = "report.html"
EXPLANATIONS_FILE = "explanations.html"
FIGURES_DIR = "figures"


def write_evaluation(
    evaluation: Evaluation,
    output_dir: Path,
    *,
    title: str,
    details: Mapping[str, str] | None = None,
    include_text: bool = True,
    pictures: Sequence[Picture] | None = None,
    class_words: Sequence[ClassWords] = (),
    explanations: bytes | None = None,
    links: Sequence[Link] = (),
    epochs: Sequence[EpochPoint] = (),
    best_epoch: int | None = None,
) -> list[Path]:
    """Write predictions, figures, report and, last, `metrics.json`; each file appears complete or not at all.

    Args:
        evaluation: what `evaluate_rows` returned.
        output_dir: created when missing; files of the same name are replaced.
        title: heading of the report.
        details: shown in the report as they are, such as the model folder and the data files.
        include_text: whether texts of rows may stand in predictions and report.
        pictures: what `draw_figures` yields; None: neither figures nor `report.html` are written.
        class_words: what counts for each class, for the report.
        explanations: the page of explained texts, written where texts may be shown and linked from the report.
        links: other pages that the report leads to.
        epochs: the training of the model, for the report; empty where it is not known.
        best_epoch: the epoch that was chosen, 1 for the first.

    Returns:
        The files written.

    Raises:
        StorageError: a file cannot be written.
    """
    # Make all contents before the first file is written.
    contents = {PREDICTIONS_FILE: predictions_bytes(evaluation, include_text=include_text)}
    if include_text and explanations is not None:
        contents[EXPLANATIONS_FILE] = explanations
    if pictures is not None:
        contents |= {f"{FIGURES_DIR}/{picture.name}.svg": picture.svg for picture in pictures}
        contents |= {f"{FIGURES_DIR}/{picture.name}.png": picture.png for picture in pictures}
        contents[REPORT_FILE] = render_report(
            evaluation,
            title=title,
            details=details or {},
            include_text=include_text,
            class_words=class_words,
            links=[Link("Why the model decided", EXPLANATIONS_FILE), *links]
            if EXPLANATIONS_FILE in contents
            else links,
            epochs=epochs,
            best_epoch=best_epoch,
        )
    # `metrics.json` is the last file to be written, after all that belong to the same evaluation.
    summary = json.dumps(summarize(evaluation), indent=2, ensure_ascii=False, allow_nan=False)
    contents[METRICS_FILE] = f"{summary}\n".encode("utf-8", "backslashreplace")
    return _write_files(output_dir, contents)


def refuse_existing_evaluation(output_dir: Path) -> None:
    """Refuse a folder with files that an evaluation would replace.

    Raises:
        InputError: there are such files: an evaluation, or others of the same names.
    """
    if (output_dir / METRICS_FILE).exists():
        raise InputError(f"{output_dir}: holds an evaluation; set overwrite=true to replace it, or another output_dir")
    for name in (PREDICTIONS_FILE, REPORT_FILE, EXPLANATIONS_FILE, FIGURES_DIR):
        if (output_dir / name).exists():
            raise InputError(
                f"{output_dir}: holds {name}, which an evaluation would replace; "
                "set overwrite=true to allow that, or another output_dir"
            )


def _write_files(output_dir: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write each file whole, in the given order, under `output_dir`."""
    paths = []
    for name, data in contents.items():
        path = output_dir / name
        # A kill here leaves the files that were written before this one, each whole.
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as stream:
            stream.write(data)
        paths.append(path)
    return paths
