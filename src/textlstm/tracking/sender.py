"""Sends the events of one journal to MLflow, once each: live beside a run, and later by `textlstm sync`.

The answer of MLflow may get lost, so nothing is assumed after a failure: the run is searched by its journal's key
before it is created, and metrics are compared with the store's history before they are sent again.
"""

import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from textlstm.storage.locks import exclusive_lock
from textlstm.tracking.delivery import (
    MAX_METRICS,
    Run,
    is_missing,
    may_pass,
    one_line,
    send_artifact,
    send_dataset,
    send_metrics,
    send_params,
    send_tags,
)
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
from textlstm.tracking.store import Store, experiment_id, open_client

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

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
            for event in _merged(
                read_events(self.paths.journal, start=self.state.offset), check_until=self._check_until
            ):
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
            name = data["experiment"]
            experiment = experiment_id(client, self._store, name=name, remedy="set the run aside")
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


def _merged(events: Iterable[Event], *, check_until: int) -> Iterable[Event]:
    """Join neighboring metric events, so that a replay takes few requests.

    Events that end at `check_until` or before, which are compared with the store, are not joined to later ones.
    """
    waiting: Event | None = None
    for event in events:
        if waiting and waiting.end <= check_until < event.end:
            yield waiting
            waiting = None
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
