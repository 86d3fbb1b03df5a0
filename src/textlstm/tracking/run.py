"""One run as the stages see it: everything is journalled at once, and sent to MLflow by a process beside it."""

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from textlstm.config import TrackingConfig
from textlstm.errors import Interrupted
from textlstm.tracking.environment import SystemSampler, read_source_state
from textlstm.tracking.names import flatten, legal_name
from textlstm.tracking.outbox import (
    EventKind,
    JournalPaths,
    JournalWriter,
    OutboxProcess,
    SendState,
    list_journals,
    load_state,
    new_key,
    now_ms,
    read_events,
)
from textlstm.tracking.recovery import this_process
from textlstm.tracking.secrets import Redactor
from textlstm.tracking.store import Store, locate_store
from textlstm.tracking.tags import config_tags, own_tags
from textlstm.tracking.tracked_runs import PAIRED_FILE, PAIRED_FOLDER, PairedRows

# What a stage may log about its run; the class here ignores all of it.


class Tracker:
    """A run that is not tracked: every call is accepted and costs nothing. `open_run` gives the kind that is needed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the run."""

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run; None when it is not tracked or MLflow has not answered."""
        return None

    @property
    def resume_key(self) -> str | None:
        """What `open_run(resume_run_id=...)` takes to continue this run; known even when MLflow does not answer."""
        return None

    def log_params(self, settings: Mapping[str, object]) -> None:
        """Log nested settings as flat parameters, and whole as artefact `config.json`."""

    def log_metrics(self, metrics: Mapping[str, float], *, step: int | None = None) -> None:
        """Log figures; with `step`, a point of each curve. Names may hold `/` as separator and any character."""

    def log_artifact(self, path: Path, *, folder: str = "", holds_text: bool = False) -> None:
        """Log a file, or what is in a folder, into the artefact folder `folder`.

        One that holds texts of rows is logged only where `tracking.log_text` allows it.
        """

    def log_dataset(self, name: str, *, context: str, digest: str, num_rows: int, source: str) -> None:
        """Log a dataset that the run read; `context` is train, validation or test, `digest` a sha256."""

    def log_paired_rows(self, rows: PairedRows) -> None:
        """Log which test rows were right, for later paired tests (`promote`, `compare`)."""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags of the run."""

    def log_model(self, saved_model_dir: Path, *, tags: Mapping[str, str] | None = None) -> None:
        """Log a saved-model folder and register it; `summary` names the version after the run has ended."""

    def summary(self) -> tuple[str, ...]:
        """Return lines for the screen; call it after the run has ended."""
        return ()


__all__ = ["JournalledTracker", "Tracker", "open_run"]

_RUN_ID_SECONDS = 10.0
_STOP_SECONDS = 6.0  # a signal asks for a quick end; the outbox process finishes by itself


def open_run(
    config: TrackingConfig,
    *,
    stage: str,
    run_name: str,
    resume_run_id: str | None = None,
    parent_run_id: str | None = None,
    began_ms: int | None = None,
    in_background: bool = False,
) -> Tracker:
    """Return a tracker; use it as a context manager, so that the run ends as FINISHED, FAILED or KILLED.

    Args:
        config: Where to.
        stage: The command that runs; a tag.
        run_name: Name in the table of runs.
        resume_run_id: `resume_key` or `run_id` of an earlier run to continue.
        parent_run_id: `resume_key` or `run_id` of the sweep that this run belongs to; MLflow need not know the former.
        began_ms: When the run began, in milliseconds since the epoch; None: now.
        in_background: For work that is done already: its figures are sent after its end, and nobody waits for that. No
            figures of the machine and no state of the code are logged.

    Raises:
        ConfigError: The address or a tag is malformed.
        StorageError: The journal cannot be written.
    """
    if not config.enabled:
        return Tracker()
    store = locate_store(config)
    tags = {**own_tags(stage), **config_tags(config)}
    # Runs are looked up among the journals first, where the key is known even when MLflow has not answered.
    parent = _journal_of(store, parent_run_id) if parent_run_id else None
    if parent_run_id and not parent:
        tags["mlflow.parentRunId"] = parent_run_id
    key = _journal_of(store, resume_run_id) if resume_run_id else None
    # The first line of the journal holds all that another process needs to create the run, also much later.
    opening = {
        "experiment": config.experiment,
        "run_name": run_name,
        "stage": stage,
        "tags": tags,
        "uri": store.public_uri,
        "process": this_process()._asdict(),
        # Without a journal here, a run to resume was made elsewhere and is known by MLflow's id.
        "run_id": "" if key else resume_run_id or "",
        "resumed": bool(resume_run_id),
        "parent": parent or "",
    }
    if began_ms is not None:
        opening["time"] = began_ms
    return JournalledTracker(config, store, key=key or new_key(), opening=opening, in_background=in_background)


class JournalledTracker(Tracker):
    """A run whose journal is sent to MLflow while it goes on."""

    def __init__(
        self,
        config: TrackingConfig,
        store: Store,
        *,
        key: str,
        opening: Mapping[str, object],
        in_background: bool = False,
    ) -> None:
        """Write the opening line and start the outbox process, at once or after the run."""
        self._config = config
        self._store = store
        self._paths = JournalPaths(store.journal_dir, key)
        self._seconds_left = config.timeout_seconds
        self._notes: list[str] = []
        self._redactor = Redactor()
        self._journal = JournalWriter(self._paths, redactor=self._redactor)
        # What a resumed run has logged is read before its journal grows.
        self._seen = _seen_before(self._paths) if opening["resumed"] else set()
        # From this line on the run can be sent by any process, and closed as KILLED if this one dies.
        self._journal.append(EventKind.open, opening)
        self._outbox_process: OutboxProcess | None = None
        self._sampler: SystemSampler | None = None
        if not in_background:
            self._outbox_process = OutboxProcess(self._paths, store, timeout_seconds=config.timeout_seconds)
            self._sampler = SystemSampler(self._log_system_metrics)
            self._log_source()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the run as FINISHED, FAILED (an exception) or KILLED (a signal), and wait for the outbox process."""
        # The sampler stops first: nothing may follow the closing line.
        if self._sampler is not None:
            self._sampler.stop()
        if error is not None and not isinstance(error, Interrupted | KeyboardInterrupt):
            self._journal.append(EventKind.tags, {"values": {"textlstm.error": f"{type(error).__name__}"}})
        # With this line on the disk, a kill during the wait below loses nothing.
        self._journal.append(EventKind.close, {"status": _status(error)})
        self._journal.close()
        if self._outbox_process is None:
            process = OutboxProcess(self._paths, self._store, timeout_seconds=self._config.timeout_seconds)
            process.finish(timeout_seconds=0, kill=False)
            return
        # After a signal the wait is short, and the outbox process is left to finish by itself.
        stopped = isinstance(error, Interrupted | KeyboardInterrupt)
        patience = min(self._seconds_left, _STOP_SECONDS) if stopped else self._seconds_left
        self._outbox_process.finish(timeout_seconds=patience, kill=not stopped)

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run; waits a little for it, within `tracking.timeout_seconds` in total."""
        started = time.monotonic()
        # Wait until the run has an id, the store fails, the time is up, or the outbox process has ended.
        deadline = started + min(_RUN_ID_SECONDS, self._seconds_left)
        state = self._state()
        while (
            not state.run_id
            and not state.last_error
            and time.monotonic() < deadline
            and self._outbox_process is not None
            and self._outbox_process.is_running()
        ):
            time.sleep(0.05)
            state = self._state()
        run_id = self._state().run_id
        if run_id:
            return run_id
        # The time spent here is missing at the end: the timeout holds for the run as a whole.
        self._seconds_left -= time.monotonic() - started
        return None

    @property
    def resume_key(self) -> str:
        """Key of the journal."""
        return self._paths.key

    def log_params(self, settings: Mapping[str, object]) -> None:
        """Log nested settings as flat parameters, and whole as artefact `config.json`."""
        parameters = flatten(settings)
        # MLflow never changes a parameter, so a resumed run logs only those that it does not have.
        fresh = {key: value for key, value in parameters.values.items() if ("param", key) not in self._seen}
        if fresh:
            self._journal.append(EventKind.params, {"values": fresh})
        self._log_text_file("config.json", json.dumps(settings, indent=2, default=str, ensure_ascii=False))
        for key, value in parameters.long_values.items():
            self._log_text_file(f"{key.replace('/', '_')}.txt", value, folder="params")

    def log_metrics(self, metrics: Mapping[str, float], *, step: int | None = None) -> None:
        """Log figures; a point that the run logged before it was resumed is not logged again."""
        time_ms = now_ms()
        rows = [
            (legal_name(name), _plain_number(value), step or 0, time_ms)
            for name, value in metrics.items()
            if step is None or ("metric", legal_name(name), step) not in self._seen
        ]
        if rows:
            self._journal.append(EventKind.metrics, {"metrics": rows})

    def log_artifact(self, path: Path, *, folder: str = "", holds_text: bool = False) -> None:
        """Log a copy of a file or folder as it is now."""
        if holds_text and not self._config.log_text:
            return
        # The copy is complete before the event names it: a kill in between leaves only a file that nobody needs.
        self._journal.append(EventKind.artifact, {"file": self._journal.keep_copy(path), "folder": folder})

    def log_dataset(self, name: str, *, context: str, digest: str, num_rows: int, source: str) -> None:
        """Log a dataset that the run read."""
        data = {"name": name, "context": context, "digest": digest, "num_rows": num_rows, "source": source}
        self._journal.append(EventKind.dataset, data)

    def log_paired_rows(self, rows: PairedRows) -> None:
        """Log which test rows were right as artefact `evaluation/paired.parquet`."""
        with TemporaryDirectory() as directory:
            path = Path(directory) / PAIRED_FILE
            rows.write(path)
            self.log_artifact(path, folder=PAIRED_FOLDER)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags of the run; values beyond 5,000 characters are cut."""
        self._journal.append(EventKind.tags, {"values": {legal_name(key): value[:5000] for key, value in tags.items()}})

    def log_model(self, saved_model_dir: Path, *, tags: Mapping[str, str] | None = None) -> None:
        """Log a saved-model folder and register it under `tracking.register`."""
        details = {"name": self._config.register, "tags": dict(tags or {})}
        self._journal.append(EventKind.model, {"file": self._journal.keep_copy(saved_model_dir), **details})

    def summary(self) -> tuple[str, ...]:
        """Return lines that say where the run is, what was registered, and what has not arrived."""
        state = self._state()
        lines = list(self._notes)
        if state.run_id:
            lines.append(f"tracked: run {state.run_id} in {self._store.public_uri}")
        if state.model_version:
            champion = " (champion)" if state.is_champion else ""
            lines.append(
                f"registered: {state.model_name or self._config.register} version {state.model_version}{champion}"
            )
        lines += [f"tracking: refused by MLflow: {reason}" for reason in state.refused.values()]
        if not state.is_complete(self._paths.journal):
            reason = f" ({state.last_error})" if state.last_error else ""
            lines.append(
                f"tracking: MLflow at {self._store.public_uri} has not confirmed everything{reason}; nothing is lost, "
                "`textlstm sync` or the next run sends the rest"
            )
        return tuple(self._redactor.text(line) for line in lines)

    def _state(self) -> SendState:
        return load_state(self._paths.state)

    def _log_source(self) -> None:
        source = read_source_state()
        tags = {"mlflow.source.git.commit": source.commit, "textlstm.lock_sha256": source.lock_digest}
        tags["textlstm.uncommitted"] = "yes" if source.diff else "no"
        self.set_tags({key: value for key, value in tags.items() if value})
        if source.diff:
            self._log_text_file("uncommitted.diff", source.diff, folder="source")

    def _log_text_file(self, name: str, text: str, *, folder: str = "") -> None:
        with TemporaryDirectory() as directory:
            path = Path(directory) / name
            path.write_text(self._redactor.text(text), encoding="utf-8", errors="surrogatepass")
            self.log_artifact(path, folder=folder)

    def _log_system_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        rows = [(name, value, step, now_ms()) for name, value in metrics.items()]
        # No fsync: figures of the machine may be lost when the machine crashes.
        self._journal.append(EventKind.metrics, {"metrics": rows}, sync=False)


def _status(error: BaseException | None) -> str:
    if error is None:
        return "FINISHED"
    return "KILLED" if isinstance(error, Interrupted | KeyboardInterrupt) else "FAILED"


def _plain_number(value: float) -> float | str:
    number = float(value)
    return number if math.isfinite(number) else str(number)  # JSON knows no nan or inf


def _journal_of(store: Store, run: str) -> str | None:
    # The key of a journal, or MLflow's id once the store has answered.
    for paths in list_journals(store.journal_dir):
        if run == paths.key or load_state(paths.state).run_id == run:
            return paths.key
    return None


def _seen_before(paths: JournalPaths) -> set[tuple[Any, ...]]:
    seen: set[tuple[Any, ...]] = set()
    for event in read_events(paths.journal):
        data: dict[str, Any] = event.data
        if event.kind is EventKind.params:
            seen |= {("param", key) for key in data["values"]}
        elif event.kind is EventKind.metrics:
            seen |= {("metric", name, step) for name, _, step, _ in data["metrics"]}
    return seen
