"""Every event arrives once, whichever request fails, before or after it took effect (fault test F6, in one process)."""

import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from textlstm.config import TrackingConfig
from textlstm.tracking.outbox import EventKind, JournalPaths, JournalWriter, load_state, now_ms
from textlstm.tracking.secrets import Redactor
from textlstm.tracking.sender import Sender
from textlstm.tracking.store import locate_store, open_client

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_CHANGING = ("create_experiment", "create_run", "log_batch", "log_inputs", "log_artifact", "set_terminated")


class FlakyClient:
    """A client whose n-th changing call fails: before it takes effect, or after (the answer is lost)."""

    def __init__(self, client: "MlflowClient", *, fail_at: int = 0, after: bool = False) -> None:
        self.client = client
        self.fail_at = fail_at
        self.after = after
        self.num_calls = 0
        self.applied: Counter[tuple[str, int, int]] = Counter()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)
        if name not in _CHANGING:
            return method

        def call(*args: Any, **kwargs: Any) -> Any:
            self.num_calls += 1
            fails = self.num_calls == self.fail_at
            if fails and not self.after:
                raise ConnectionError("connection refused")
            result = method(*args, **kwargs)
            self.applied.update((metric.key, metric.step, metric.timestamp) for metric in kwargs.get("metrics", ()))
            if fails:
                raise ConnectionError("connection reset")
            return result

        return call


def write_journal(config: TrackingConfig, key: str, *, parent: str = "") -> JournalPaths:
    """A finished run of every kind of event but a model."""
    store = locate_store(config)
    paths = JournalPaths(store.journal_dir, key)
    artifact = Path(config.dir) / "report.txt"
    artifact.parent.mkdir(parents=True, exist_ok=True)
    artifact.write_text("report")
    with JournalWriter(paths, redactor=Redactor()) as journal:
        opening = {"experiment": "e", "run_name": key, "tags": {"a": "b"}, "uri": store.public_uri, "run_id": ""}
        opening["parent"] = parent
        journal.append(EventKind.open, opening)
        journal.append(EventKind.params, {"values": {f"p{number}": "v" for number in range(120)}})
        for epoch in range(3):
            rows = [("loss", 1 / (epoch + 1), epoch, now_ms()), ("f1", "nan", epoch, now_ms())]
            journal.append(EventKind.metrics, {"metrics": rows})
        journal.append(EventKind.tags, {"values": {"c": "d"}})
        dataset = {"name": "n", "context": "test", "digest": "d" * 64, "num_rows": 3, "source": "s"}
        journal.append(EventKind.dataset, dataset)
        journal.append(EventKind.artifact, {"file": journal.keep_copy(artifact), "folder": "evaluation"})
        journal.append(EventKind.metrics, {"metrics": [("test/f1", 0.5, 0, now_ms())]})
        journal.append(EventKind.close, {"status": "FINISHED"})
    return paths


def send(paths: JournalPaths, config: TrackingConfig, client: FlakyClient) -> int:
    """Send with a new sender after each failure, as after a crash; return the number of attempts."""
    for attempt in range(1, 5):
        sender = Sender(paths, locate_store(config), client=client)  # type: ignore[arg-type]
        sender.pump()
        sender.finish()
        if sender.is_complete():
            return attempt
    raise AssertionError(sender.state.last_error)


def check_run(client: "MlflowClient", key: str) -> None:
    experiment = client.get_experiment_by_name("e")
    runs = client.search_runs([experiment.experiment_id], filter_string=f"tags.`textlstm.journal` = '{key}'")
    assert len(runs) == 1
    [run] = runs
    assert run.info.status == "FINISHED"
    assert len(run.data.params) == 120
    assert run.data.tags["a"] == "b"
    assert run.data.tags["c"] == "d"
    assert [point.value for point in client.get_metric_history(run.info.run_id, "loss")] == [1.0, 0.5, 1 / 3]
    assert len(client.get_metric_history(run.info.run_id, "f1")) == 3
    assert run.data.metrics["test/f1"] == 0.5
    assert [entry.dataset.name for entry in run.inputs.dataset_inputs] == ["n"]
    assert [file.path for file in client.list_artifacts(run.info.run_id, "evaluation")] == ["evaluation/report.txt"]


def test_undisturbed_sending_takes_one_attempt(config: TrackingConfig, client: "MlflowClient") -> None:
    paths = write_journal(config, "calm")
    assert send(paths, config, FlakyClient(client)) == 1
    check_run(client, "calm")
    assert not paths.files.exists()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_each_failing_request_costs_nothing_but_a_retry(
    config: TrackingConfig, client: "MlflowClient", after: bool
) -> None:
    calm = FlakyClient(client)
    send(write_journal(config, "calm"), config, calm)
    for number in range(1, calm.num_calls + 1):
        key = f"run-{number}"
        flaky = FlakyClient(client, fail_at=number, after=after)
        send(write_journal(config, key), config, flaky)
        check_run(client, key)
        assert set(flaky.applied.values()) == {1}


def test_without_the_comparison_metrics_are_sent_twice(
    config: TrackingConfig, client: "MlflowClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control of the test above."""
    monkeypatch.setattr("textlstm.tracking.delivery.not_in_store", lambda run, metrics: metrics)
    calm = FlakyClient(client)
    send(write_journal(config, "calm"), config, calm)
    twice = 0
    for number in range(1, calm.num_calls + 1):
        flaky = FlakyClient(client, fail_at=number, after=True)
        send(write_journal(config, f"run-{number}"), config, flaky)
        twice += any(count > 1 for count in flaky.applied.values())
    assert twice > 0


def test_metrics_written_after_a_lost_answer_do_not_hide_those_before(
    config: TrackingConfig, client: "MlflowClient"
) -> None:
    paths = JournalPaths(locate_store(config).journal_dir, "grows")
    flaky = FlakyClient(client, fail_at=3, after=True)
    sender = Sender(paths, locate_store(config), client=flaky)  # type: ignore[arg-type]
    with JournalWriter(paths, redactor=Redactor()) as journal:
        journal.append(EventKind.open, {"experiment": "e", "run_name": "grows", "tags": {}, "uri": "", "run_id": ""})
        journal.append(EventKind.metrics, {"metrics": [("loss", 0.5, 0, now_ms())]})
        # The first metrics arrive, but the answer is lost; then the run writes more, which joins them in one request.
        assert not sender.pump()
        journal.append(EventKind.metrics, {"metrics": [("loss", 0.4, 1, now_ms())]})
        assert sender.pump()
    assert sorted(step for _, step, _ in flaky.applied.elements()) == [0, 1]


def test_lost_state_file_sends_nothing_twice(config: TrackingConfig, client: "MlflowClient") -> None:
    paths = write_journal(config, "calm")
    flaky = FlakyClient(client)
    send(paths, config, flaky)
    paths.state.unlink()
    send(paths, config, flaky)
    check_run(client, "calm")
    assert set(flaky.applied.values()) == {1}
    [reason] = load_state(paths.state).refused.values()
    assert reason.endswith("report.txt: the copy that waited to be sent is gone")


def test_refused_event_is_told_and_does_not_block_the_rest(config: TrackingConfig, client: "MlflowClient") -> None:
    paths = write_journal(config, "refused")
    lines = paths.journal.read_text().splitlines(keepends=True)
    lines.insert(2, '{"kind": "metrics", "time": 1, "metrics": [["bad[name]", 1.0, 0, 1]]}\n')
    paths.journal.write_text("".join(lines))
    send(paths, config, FlakyClient(client))
    check_run(client, "refused")
    [reason] = load_state(paths.state).refused.values()
    assert "bad[name]" in reason


def test_store_that_lost_the_run_gets_it_again(
    config: TrackingConfig, client: "MlflowClient", tmp_path: Path, empty_database: Path
) -> None:
    paths = write_journal(config, "lost")
    lines = paths.journal.read_text().splitlines(keepends=True)
    paths.journal.write_text("".join(lines[:4]))
    Sender(paths, locate_store(config), client=client).pump()
    paths.journal.write_text("".join(lines))
    other = TrackingConfig(dir=str(tmp_path / "other"))
    (tmp_path / "other").mkdir()
    shutil.copyfile(empty_database, tmp_path / "other" / "mlflow.db")
    fresh = open_client(locate_store(other))
    sender = Sender(paths, locate_store(other), client=fresh)
    assert not sender.pump()
    assert sender.pump()
    check_run(fresh, "lost")


def test_child_waits_until_its_sweep_is_in_mlflow(config: TrackingConfig, client: "MlflowClient") -> None:
    store = locate_store(config)
    parent, child = write_journal(config, "sweep"), write_journal(config, "trial", parent="sweep")
    waiting = Sender(child, store, client=client)
    assert not waiting.pump()
    assert waiting.state.last_error == "the run of the sweep is not in MLflow yet"
    assert Sender(parent, store, client=client).pump()
    assert waiting.pump()
    run = client.get_run(load_state(child.state).run_id)
    assert run.data.tags["mlflow.parentRunId"] == load_state(parent.state).run_id
    orphan = write_journal(config, "orphan", parent="gone")  # a journal that was thrown away stops nobody
    assert Sender(orphan, store, client=client).pump()
    assert "mlflow.parentRunId" not in client.get_run(load_state(orphan.state).run_id).data.tags
