"""Requests to MLflow that each send one kind of thing to a run, and how MLflow's errors are read.

Every request may be sent again with the same things.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from textlstm.tracking.secrets import Redactor

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

# How an error of MLflow is read: whether the same request may work later, and the reason in one line.

_HTTP_TOO_MANY_REQUESTS = 429
_NO_ANSWER = re.compile("connection (refused|reset|aborted)|timed out|name resolution", re.IGNORECASE)
_MAX_LENGTH = 300


def may_pass(error: Exception) -> bool:
    """Return whether the same request may work later: no answer, a 5xx answer, a busy database, a full disk."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        status = int(error.get_http_status_code())
        return status >= 500 or status == _HTTP_TOO_MANY_REQUESTS
    return isinstance(error, OSError)  # requests' exceptions are OSErrors


def is_missing(error: Exception) -> bool:
    """Return whether the store says that it does not have what was asked for."""
    return getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST"


def one_line(error: Exception) -> str:
    """Return the reason in one line, at most 300 characters, without passwords."""
    # The text of an error may quote the address with its password: mask before cutting.
    text = Redactor().text(" ".join(str(error).split()))
    if match := _NO_ANSWER.search(text):
        return f"no answer: {match[0].lower()}"
    if isinstance(error, Warning):
        text = f"a warning was made an error: {type(error).__name__}: {text}"
    return text[:_MAX_LENGTH] or type(error).__name__


# Functions that send one kind of thing to a run; each may be called again with the same things.

# Limits of MLflow: metrics, and parameters or tags, of one request; characters of a dataset's name and digest.
MAX_METRICS = 1000
_MAX_PAIRS = 100
_MAX_DATASET_NAME = 500
_MAX_DATASET_DIGEST = 36

MetricRow = tuple[str, float | str, int, int]
"""Name, value (nan and inf as text), step, milliseconds since the epoch."""


class Run(NamedTuple):
    """The MLflow run that things are sent to."""

    client: "MlflowClient"
    run_id: str


def send_params(run: Run, values: Mapping[str, str]) -> None:
    """Send parameters; a run that was resumed keeps the values it has."""
    from mlflow.entities import Param
    from mlflow.exceptions import MlflowException

    params = [Param(key, value) for key, value in values.items()]
    for start in range(0, len(params), _MAX_PAIRS):
        batch = params[start : start + _MAX_PAIRS]
        try:
            run.client.log_batch(run.run_id, params=batch)
        except MlflowException as error:
            if may_pass(error) or is_missing(error):
                raise
            # MLflow refuses the whole batch when one parameter has another value already: send those that are new.
            present = run.client.get_run(run.run_id).data.params
            run.client.log_batch(run.run_id, params=[param for param in batch if param.key not in present])


def send_tags(run: Run, values: Mapping[str, str]) -> None:
    """Send tags; later values replace earlier ones."""
    from mlflow.entities import RunTag

    tags = [RunTag(key, value) for key, value in values.items()]
    for start in range(0, len(tags), _MAX_PAIRS):
        run.client.log_batch(run.run_id, tags=tags[start : start + _MAX_PAIRS])


def send_metrics(run: Run, rows: Sequence[MetricRow], *, check: bool) -> None:
    """Send metrics; with `check`, only those that the store does not have yet."""
    from mlflow.entities import Metric

    metrics = [Metric(name, float(value), time, step) for name, value, step, time in rows]
    # After a failure some of them may have arrived.
    if check:
        metrics = not_in_store(run, metrics)
    for start in range(0, len(metrics), MAX_METRICS):
        _send_batch(run, metrics[start : start + MAX_METRICS])


def not_in_store(run: Run, metrics: "Sequence[Metric]") -> "list[Metric]":
    """Return the metrics whose name, step and time the store does not have."""
    present = {
        (entry.key, entry.timestamp, entry.step)
        for key in {metric.key for metric in metrics}
        for entry in run.client.get_metric_history(run.run_id, key)
    }
    return [metric for metric in metrics if (metric.key, metric.timestamp, metric.step) not in present]


def send_artifact(run: Run, path: Path, *, folder: str) -> None:
    """Send a file, or what is in a folder, into the artefact folder `folder`."""
    if path.is_dir():
        run.client.log_artifacts(run.run_id, str(path), folder or None)
    else:
        run.client.log_artifact(run.run_id, str(path), folder or None)


def send_dataset(run: Run, data: Mapping[str, Any]) -> None:
    """Send the description of a dataset; MLflow's digest is short, the whole one stands in the profile."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    profile = json.dumps({"num_rows": data["num_rows"], "sha256": data["digest"]})
    source = json.dumps({"uri": data["source"]})
    name, digest = data["name"][:_MAX_DATASET_NAME], data["digest"][:_MAX_DATASET_DIGEST]
    tags = [InputTag("mlflow.data.context", data["context"])]
    run.client.log_inputs(run.run_id, [DatasetInput(Dataset(name, digest, "local", source, profile=profile), tags)])


def _send_batch(run: Run, metrics: "Sequence[Metric]") -> None:
    """Send metrics together; where the store refuses them, one by one, so that only the bad one is lost."""
    try:
        run.client.log_batch(run.run_id, metrics=metrics)
    except Exception as error:
        if may_pass(error) or is_missing(error) or len(metrics) == 1:
            raise
        reasons = []
        for metric in metrics:
            try:
                run.client.log_batch(run.run_id, metrics=[metric])
            except Exception as single_error:
                if may_pass(single_error):
                    raise
                reasons.append(one_line(single_error))
        raise ValueError("; ".join(reasons)) from error
