"""A run from the stages' side, with the real outbox_process and a real sqlite store."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from textlstm.config import TrackingConfig
from textlstm.errors import ConfigError, Interrupted
from textlstm.tracking import PairedRows, Tracker, open_run
from textlstm.tracking.outbox import list_journals, load_state
from textlstm.tracking.recovery import is_closed, sync_journals
from textlstm.tracking.store import locate_store

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


def test_disabled_tracking_writes_nothing_and_loads_nothing(tmp_path: Path) -> None:
    with open_run(TrackingConfig(enabled=False, dir=str(tmp_path / "t")), stage="train", run_name="x") as run:
        run.log_params({"a": 1})
        run.log_metrics({"b": 2.0}, step=1)
        run.log_artifact(tmp_path)
        run.log_model(tmp_path)
        assert run.run_id is None
    assert type(run) is Tracker
    assert run.summary() == ()
    assert not (tmp_path / "t").exists()


@pytest.mark.usefixtures("in_process")
def test_finished_run_has_everything(config: TrackingConfig, client: "MlflowClient", tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("texts")
    (tmp_path / "metrics.json").write_text("{}")
    config.tags = ["team:news"]
    with open_run(config, stage="train", run_name="first", parent_run_id="0" * 32) as run:
        run.log_params({"model": {"hidden_size": 64}, "long": "x" * 7000})
        run.log_metrics({"loss": 1.0, "f1/a[b]": float("inf")}, step=1)
        run.log_metrics({"loss": 0.5}, step=2)
        run.log_dataset("bbc", context="test", digest="d" * 64, num_rows=7, source="bbc_news")
        run.log_artifact(tmp_path / "metrics.json", folder="evaluation")
        run.log_artifact(tmp_path / "report.html", folder="evaluation", holds_text=True)
        run.log_paired_rows(PairedRows(["1", "2"], [True, False], [0, 1], [0, 0], "d" * 64))
        run_id = run.run_id
    assert run_id is not None
    logged = client.get_run(run_id)
    assert run.summary() == (f"tracked: run {run_id} in sqlite:///{config.dir}/mlflow.db",)
    assert logged.info.status == "FINISHED"
    assert logged.info.run_name == "first"
    assert logged.data.params["model.hidden_size"] == "64"
    assert "(7000 characters, sha256 " in logged.data.params["long"]
    assert [point.step for point in client.get_metric_history(run_id, "loss")] == [1, 2]
    assert logged.data.metrics["f1/a:5Bb:5D"] > 1e300
    assert logged.data.tags["team"] == "news"
    assert logged.data.tags["textlstm.stage"] == "train"
    assert logged.data.tags["mlflow.parentRunId"] == "0" * 32
    assert json.loads(logged.inputs.dataset_inputs[0].dataset.profile) == {"num_rows": 7, "sha256": "d" * 64}
    files = {file.path for file in client.list_artifacts(run_id, "evaluation")}
    assert files == {"evaluation/metrics.json", "evaluation/paired.parquet"}
    whole = Path(client.download_artifacts(run_id, "params/long.txt", str(tmp_path))).read_text()
    assert whole == "x" * 7000


def test_failed_and_interrupted_runs_say_so(config: TrackingConfig, client: "MlflowClient") -> None:
    with pytest.raises(ZeroDivisionError), open_run(config, stage="train", run_name="failed"):
        _ = 1 / 0
    with pytest.raises(Interrupted), open_run(config, stage="train", run_name="stopped"):
        raise Interrupted(signal.SIGTERM)
    _wait_until_sent(config)
    experiment = client.get_experiment_by_name("textlstm")
    statuses = {run.info.run_name: run.info.status for run in client.search_runs([experiment.experiment_id])}
    assert statuses == {"failed": "FAILED", "stopped": "KILLED"}


def test_resumed_run_is_the_same_run_without_double_points(config: TrackingConfig, client: "MlflowClient") -> None:
    first = open_run(config, stage="train", run_name="r")
    first.log_params({"seed": 1})
    for epoch in (1, 2):
        first.log_metrics({"loss": 1 / epoch}, step=epoch)
    first.__exit__(Interrupted, Interrupted(signal.SIGINT), None)
    with open_run(config, stage="train", run_name="r", resume_run_id=first.resume_key) as second:
        second.log_params({"seed": 1, "new": 2})
        for epoch in (2, 3):  # epoch 2 is worked on again from the last checkpoint
            second.log_metrics({"loss": 1 / epoch}, step=epoch)
    assert first.run_id == second.run_id
    logged = client.get_run(second.run_id)
    assert logged.info.status == "FINISHED"
    assert [point.step for point in client.get_metric_history(second.run_id, "loss")] == [1, 2, 3]
    assert logged.data.params == {"seed": "1", "new": "2"}


@pytest.mark.usefixtures("in_process")
def test_resuming_by_mlflow_id_finds_the_journal(config: TrackingConfig) -> None:
    with open_run(config, stage="train", run_name="r") as first:
        run_id = first.run_id
    with open_run(config, stage="train", run_name="r", resume_run_id=run_id) as second:
        assert second.resume_key == first.resume_key


def test_malformed_tags_are_told_together(config: TrackingConfig) -> None:
    config.tags = ["good:1", "bad", ":x"]
    with pytest.raises(ConfigError) as caught:
        open_run(config, stage="train", run_name="x")
    assert caught.value.problems == (
        "tracking.tags: 'bad' is not KEY:VALUE",
        "tracking.tags: '' is not KEY:VALUE",
    )


_RUN = """
import sys, time
from textlstm.config import TrackingConfig
from textlstm.tracking import open_run
with open_run(TrackingConfig(dir=sys.argv[1], uri=sys.argv[2]), stage="train", run_name="victim") as run:
    run.log_metrics({"loss": 1.0}, step=1)
    while sys.argv[3] == "wait" and not run.run_id:
        time.sleep(0.1)
    print("ready", flush=True)
    time.sleep(600)
"""


def _start_victim(config: TrackingConfig, *, wait: bool) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _RUN, config.dir, config.uri, "wait" if wait else ""]
    victim = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert victim.stdout is not None
    assert victim.stdout.readline() == "ready\n"
    return victim


def _kill(victim: "subprocess.Popen[str]") -> None:
    victim.kill()
    victim.wait()


@pytest.mark.long
def test_kill_9_is_closed_by_the_courier_that_survives(config: TrackingConfig, client: "MlflowClient") -> None:
    victim = _start_victim(config, wait=True)
    _kill(victim)
    _wait_until_sent(config)
    [paths] = list_journals(locate_store(config).journal_dir)
    run = client.get_run(load_state(paths.state).run_id)
    assert (run.info.status, run.data.metrics["loss"]) == ("KILLED", 1.0)


def test_kill_9_of_run_and_courier_is_closed_by_the_next_command(
    config: TrackingConfig, client: "MlflowClient"
) -> None:
    victim = _start_victim(config, wait=True)
    [outbox_process] = _children(victim.pid)
    os.kill(outbox_process, signal.SIGKILL)
    _kill(victim)
    [paths] = list_journals(locate_store(config).journal_dir)
    run_id = load_state(paths.state).run_id
    assert not is_closed(paths)
    assert client.get_run(run_id).info.status == "RUNNING"  # negative control: nobody else closes it
    with open_run(config, stage="label", run_name="next"):
        pass
    assert client.get_run(run_id).info.status == "KILLED"


@pytest.mark.long
def test_sync_leaves_a_living_run_alone(config: TrackingConfig, client: "MlflowClient") -> None:
    victim = _start_victim(config, wait=True)
    try:
        [synced] = sync_journals(config)
        assert synced.note == "is being sent by another process"
        assert client.get_run(synced.state.run_id).info.status == "RUNNING"
    finally:
        _kill(victim)


def _wait_until_sent(config: TrackingConfig) -> None:
    deadline = time.monotonic() + 60
    for paths in list_journals(locate_store(config).journal_dir):
        while not load_state(paths.state).is_complete(paths.journal):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def _children(pid: int) -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(pid).children()]


@pytest.mark.usefixtures("in_process")
def test_no_text_and_no_secret_is_written(
    config: TrackingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_API_TOKEN", "canary-secret-314159")
    (tmp_path / "predictions.jsonl").write_text("canary-text-271828")
    with open_run(config, stage="train", run_name="run canary-secret-314159") as run:
        run.log_params({"tracking": {"uri": "http://me:canary-pw-161803@host/"}, "note": "canary-secret-314159"})
        run.log_artifact(tmp_path / "predictions.jsonl", holds_text=True)
        run.set_tags({"origin": "https://user:canary-pw-161803@host/repo"})
        run.log_dataset("d", context="train", digest="0" * 64, num_rows=1, source="s3://key:canary-pw-161803@bucket")
    assert not _holding(Path(config.dir), b"canary")


@pytest.mark.usefixtures("in_process")
def test_text_is_written_where_it_is_allowed(config: TrackingConfig, tmp_path: Path) -> None:
    """Negative control: the canary would be found."""
    config.log_text = True
    (tmp_path / "predictions.jsonl").write_text("canary-text-271828")
    with open_run(config, stage="train", run_name="run") as run:
        run.log_artifact(tmp_path / "predictions.jsonl", holds_text=True)
    assert [path.name for path in _holding(Path(config.dir), b"canary")] == ["predictions.jsonl"]


def _holding(folder: Path, needle: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and needle in path.read_bytes()]
