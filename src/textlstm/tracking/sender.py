"""Sends the events of one journal to MLflow, once each: live beside a run, and later by `textlstm sync`.

The answer of MLflow may get lost, so nothing is assumed after a failure: the run is searched by its journal's key
before it is created, and metrics are compared with the store's history before they are sent again.
"""

import json
import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, assert_never

from textlstm.storage.locks import exclusive_lock
from textlstm.tracking.model_logging import log_model_version
from textlstm.tracking.outbox import (
    Event,
    EventKind,
    JournalPaths,
    SendState,
    encodable_data,
    load_state,
    read_events,
    save_state,
)
from textlstm.tracking.secrets import Redactor
from textlstm.tracking.store import Store, experiment_id, open_client

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


JOURNAL_TAG = "textlstm.journal"
_MAX_ATTEMPTS = 3


class Sender:
    """Sends one journal. Hold the journal's lock while using it."""

    def __init__(self, paths: JournalPaths, store: Store, *, client: "MlflowClient | None" = None) -> None:
        """Continue where the state file says; the client is opened on first use when none is given."""
        self.paths = paths
        self.state: SendState = load_state(paths.state)
        self._store = store
        self._client = client
        self._check_until = 0
        """Journal offset up to which metrics may have arrived without our knowing."""
        # An earlier sender may have sent more than it could note.
        if self.state.offset or self.state.last_error:
            self._doubt()
        self._attempts: dict[int, int] = defaultdict(int)

    def pump(self) -> bool:
        """Send what the journal holds beyond the confirmed part.

        Returns:
            True when everything readable is confirmed or set aside; False when the store failed for a reason that may
            pass (`state.last_error` says which).
        """
        if self.paths.journal.stat().st_size <= self.state.offset:
            return True
        try:
            # In the order of the journal. A kill at any moment leaves the state of the last confirmed event.
            for event in _merged(read_events(self.paths.journal, start=self.state.offset)):
                self._send_or_set_aside(event)
        except Exception as error:
            self._note_failure(error)
            return False
        return True

    def _send_or_set_aside(self, event: Event) -> None:
        try:
            self._send(event)
        except Exception as error:
            # The store has lost the run, so the whole journal is sent again into a new one.
            if is_missing(error) and self.state.run_id:
                self._forget_run()
                raise ConnectionError("the store no longer has the run; it is created again") from error
            # Without a run nothing that follows could be sent.
            if event.kind is EventKind.open:
                raise
            # Refused for good: noted, and not tried again.
            if not may_pass(error):
                self.state.refused[str(event.end)] = one_line(error)
            elif event.kind in (EventKind.artifact, EventKind.model, EventKind.dataset):
                # A file that fails must not hold up the rest: after a few attempts it waits until the run has ended.
                self._attempts[event.end] += 1
                if self._attempts[event.end] < _MAX_ATTEMPTS:
                    raise
                self.state.set_aside.append(event.end)
            else:
                # Anything else is sent in order, so the sending stops here until the store works.
                raise
        self._confirm(event)

    def _confirm(self, event: Event) -> None:
        # A kill before the state is saved sends this event once more, which is harmless.
        self.state.offset = event.end
        self.state.last_error = ""
        self.state.is_lasting = False
        self.state.num_failures = 0
        # The run ends here, so what was set aside is tried again before the journal can be complete.
        if event.kind is EventKind.close:
            self._retry_set_aside()
        self.state.closed = event.kind is EventKind.close
        self._settle()

    def _settle(self) -> None:
        save_state(self.paths.state, self.state)
        # The waiting copies are needed only until everything is confirmed.
        if self.is_complete():
            shutil.rmtree(self.paths.files, ignore_errors=True)

    def is_complete(self) -> bool:
        """Return whether the run has ended and everything is confirmed."""
        return self.state.is_complete(self.paths.journal)

    def finish(self) -> None:
        """Try once more what was set aside in a journal that is confirmed to its end."""
        if not self.state.set_aside or self.paths.journal.stat().st_size > self.state.offset:
            return
        self._retry_set_aside()
        self._settle()

    def _retry_set_aside(self) -> None:
        waiting = set(self.state.set_aside)
        for event in read_events(self.paths.journal) if waiting else ():
            if event.end not in waiting:
                continue
            try:
                self._send(event)
            except Exception as error:
                if may_pass(error):
                    self.state.last_error = one_line(error)
                    continue
                self.state.refused[str(event.end)] = one_line(error)
            self.state.set_aside.remove(event.end)

    def _send(self, event: Event) -> None:
        # MLflow's database takes no lone surrogates; the path of a waiting copy stays as it is on the disk.
        data: dict[str, Any] = encodable_data(event.data)
        if "file" in event.data:
            data["file"] = event.data["file"]
        match event.kind:
            case EventKind.open:
                self._open_run(data)
            case EventKind.params:
                send_params(self._run, data["values"])
            case EventKind.metrics:
                # Only what an earlier attempt may have sent is compared with the store.
                send_metrics(self._run, data["metrics"], check=event.end <= self._check_until)
            case EventKind.tags:
                send_tags(self._run, data["values"])
            case EventKind.artifact:
                send_artifact(self._run, self._copy(data), folder=data["folder"])
            case EventKind.dataset:
                send_dataset(self._run, data)
            case EventKind.model:
                logged = log_model_version(
                    self.client,
                    run_id=self.state.run_id,
                    saved_model_dir=self._copy(data),
                    # Journal and offset always name the same event, so a second attempt finds what the first one made.
                    event_key=f"{self.paths.key}:{event.end}",
                    details=data,
                )
                self.state.model_version, self.state.is_champion = logged.version, logged.is_champion
                self.state.model_name = logged.name
            case EventKind.close:
                self.client.set_terminated(self.state.run_id, status=data["status"], end_time=data["time"])
            case _:
                assert_never(event.kind)

    @property
    def client(self) -> "MlflowClient":
        """The MLflow client; opening it imports MLflow."""
        if self._client is None:
            self._client = open_client(self._store)
        return self._client

    @property
    def _run(self) -> Run:
        return Run(self.client, self.state.run_id)

    def _open_run(self, data: dict[str, Any]) -> None:
        if not self.state.run_id:
            self._find_or_create_run(data)
        if data.get("resumed"):
            self.client.update_run(self.state.run_id, status="RUNNING")

    def _find_or_create_run(self, data: dict[str, Any]) -> None:
        # A run that was made elsewhere is continued by its id; nobody here knows what it holds.
        if data.get("run_id"):
            run = self.client.get_run(data["run_id"])
            self.state.run_id, self.state.experiment_id = run.info.run_id, run.info.experiment_id
            self._doubt()
            return
        # This raises while the sweep's own run is not in MLflow, before anything is created.
        parent_tags = self._parent_tags(data)
        client = self.client  # opened before the lock is taken: opening takes the same lock
        with exclusive_lock(self._store.schema_lock):
            experiment = experiment_id(client, self._store, name=data["experiment"])
        # An earlier attempt may have created the run although its answer got lost.
        found = client.search_runs([experiment], filter_string=f"tags.`{JOURNAL_TAG}` = '{self.paths.key}'")
        if found:
            self.state.run_id = found[0].info.run_id
            self._doubt()
        else:
            tags = {**data["tags"], **parent_tags, JOURNAL_TAG: self.paths.key}
            run = self.client.create_run(experiment, run_name=data["run_name"], start_time=data["time"], tags=tags)
            self.state.run_id = run.info.run_id
        self.state.experiment_id = experiment

    def _parent_tags(self, data: dict[str, Any]) -> dict[str, str]:
        """Return the tag that makes the run a child of its sweep's, whose journal may have to be sent first.

        Raises:
            ConnectionError: it is not in MLflow yet; a later attempt will find it.
        """
        if not data.get("parent"):
            return {}
        parent = JournalPaths(self.paths.directory, data["parent"])
        run_id = load_state(parent.state).run_id
        # A sweep whose journal is gone from here was set aside: the run goes without a parent.
        if not run_id and parent.journal.exists():
            raise ConnectionError("the run of the sweep is not in MLflow yet")
        return {"mlflow.parentRunId": run_id} if run_id else {}

    def _copy(self, data: dict[str, Any]) -> Path:
        path: Path = self.paths.directory / data["file"]
        if not path.exists():
            raise ValueError(f"{data['file']}: the copy that waited to be sent is gone")
        return path

    def _forget_run(self) -> None:
        # Offset 0 and no run: the next attempt begins with the first line of the journal.
        self.state = SendState(num_failures=self.state.num_failures)

    def _doubt(self) -> None:
        # Everything that the journal holds now may have arrived.
        self._check_until = self.paths.journal.stat().st_size

    def _note_failure(self, error: Exception) -> None:
        self._doubt()
        self.state.last_error = one_line(error)
        self.state.is_lasting = not may_pass(error)
        self.state.num_failures += 1
        save_state(self.paths.state, self.state)


def _merged(events: Iterable[Event]) -> Iterable[Event]:
    """Join neighboring metric events, so that a replay takes few requests."""
    waiting: Event | None = None
    for event in events:
        if event.kind is EventKind.metrics:
            earlier: Any = waiting.data["metrics"] if waiting else []
            rows: Any = event.data["metrics"]
            waiting = Event(event.kind, {"metrics": [*earlier, *rows]}, event.end)
            # Room for more in this request: wait for the next event.
            if len(waiting.data["metrics"]) < MAX_METRICS:  # type: ignore[arg-type]
                continue
            event = waiting  # noqa: PLW2901
        elif waiting:
            # An event of another kind ends the group, so that the order stays.
            yield waiting
        waiting = None
        yield event
    if waiting:
        yield waiting
