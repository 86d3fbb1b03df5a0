"""`predictions.parquet`: one row a text, what was true and what everyone said."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from textlstm.evaluation.coverage import decision_confidence
from textlstm.evaluation.evaluate import Evaluation
from textlstm.evaluation.rows import UNKNOWN_TARGET, Booleans, Floats, Integers

ACCEPTED, ABSTAINED = "accepted", "abstained"


def predictions_table(evaluation: Evaluation, *, include_text: bool) -> pa.Table:
    """Return the table; the labels in the order of `probabilities` are in its metadata under `labels`.

    Columns: id, text (only with `include_text`), label (null where the model does not know it), predicted_label
    (multi-label: labels and predicted_labels, lists), probability, correct, decision, the same from each branch and
    opponent as far as given, num_tokens, unknown_share, and probabilities (list of L).
    """
    rows = evaluation.rows
    columns: dict[str, pa.Array] = {"id": pa.array(rows.ids, pa.string())}
    if include_text:
        columns["text"] = pa.array(rows.texts, pa.large_string())
    suffix = "labels" if rows.is_multi_label else "label"
    columns[suffix] = _names(rows.targets, rows.labels)
    columns[f"predicted_{suffix}"] = _names(evaluation.predictions, rows.labels)
    columns["probability"] = pa.array(evaluation.confidences, pa.float32())
    columns["correct"] = pa.array(evaluation.correct, pa.bool_())
    accepted = np.ones(rows.num_rows, dtype=np.bool_)
    if evaluation.abstention is not None:
        accepted = evaluation.confidences >= evaluation.abstention.threshold
    columns["decision"] = pa.array(np.where(accepted, ACCEPTED, ABSTAINED), pa.string())
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


def _names(label_ids: Integers | Booleans, labels: tuple[str, ...]) -> pa.Array:
    """Label names of (N,) ids, null for unknown ones; or lists of names of (N, L) flags."""
    if label_ids.ndim == 1:
        return pa.array([None if label == UNKNOWN_TARGET else labels[label] for label in label_ids], pa.string())
    lists = [[labels[label] for label in np.flatnonzero(flags)] for flags in label_ids]
    return pa.array(lists, pa.list_(pa.string()))


def _lists(probabilities: Floats) -> pa.Array:
    num_rows, num_labels = probabilities.shape
    flat = pa.array(np.ascontiguousarray(probabilities, dtype=np.float32).ravel())
    offsets = pa.array(np.arange(num_rows + 1, dtype=np.int64) * num_labels)
    return pa.LargeListArray.from_arrays(offsets, flat)
