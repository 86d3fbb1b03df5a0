"""Label jobs as MLflow runs: counts, shares, drift, seconds and manifest; never a reason to wait or to fail."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from textlstm.cli.main import main
from textlstm.config import TrackingConfig
from textlstm.errors import StorageError
from textlstm.stages import label as label_stage
from textlstm.tracking.store import experiment_id, locate_store
from textlstm.tracking.tracked_runs import TrackedRun, load_runs

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


def label(folder: Path, model: Path, *typed: str) -> int:
    (folder / "in.csv").write_text("text\n" + "the goal of the match\n" * 150 + "bank profit\n" * 10)
    return main(
        ["label", f"model_dir={model}", f"input={folder / 'in.csv'}", f"output={folder / 'out.csv'}", "--quiet", *typed]
    )


def arrived(client: "MlflowClient", config: TrackingConfig, *, status: str) -> TrackedRun:
    """Return the only run once it has the status; the process that sends it works beside."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            experiment = experiment_id(client, locate_store(config), name=config.experiment)
            runs = [run for run in load_runs(client, experiment, max_runs=5) if run.status == status]
        except Exception:  # the store is being made
            runs = []
        if runs:
            return runs[0]
        time.sleep(0.2)
    raise AssertionError("the run has not arrived")


def test_a_job_is_a_run_with_figures_and_manifest(
    tmp_path: Path, tiny_model: Path, config: TrackingConfig, client: "MlflowClient"
) -> None:
    assert label(tmp_path, tiny_model, f"tracking.dir={config.dir}") == 0
    run = arrived(client, config, status="FINISHED")
    assert (run.name, run.stage, run.labelled) == ("label out.csv", "label", str(tmp_path / "in.csv"))
    assert (run.metrics["labelling/rows"], run.metrics["labelling/rejects"]) == (160, 0)
    assert run.metrics["labelling/share/sport"] == pytest.approx(150 / 160)
    assert run.metrics["labelling/drift"] > 0.25
    assert run.params["labelling.shard_rows"] == "5000"
    [manifest] = client.list_artifacts(run.run_id, "labelling")
    assert manifest.path == "labelling/out.csv.manifest.json"


def test_a_job_that_fails_is_a_failed_run_and_a_refused_one_is_none(
    tmp_path: Path,
    tiny_model: Path,
    config: TrackingConfig,
    client: "MlflowClient",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert label(tmp_path, tiny_model, f"tracking.dir={config.dir}", "labelling.text_column=body") == 2
    assert not list(Path(config.dir).rglob("*.jsonl"))

    def fail(*_: object, **__: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(label_stage, "label_files", fail)
    assert label(tmp_path, tiny_model, f"tracking.dir={config.dir}") == 4
    assert arrived(client, config, status="FAILED").name == "label out.csv"


def test_a_job_that_is_killed_shows_as_killed_after_the_next_one(
    tmp_path: Path, tiny_model: Path, config: TrackingConfig, client: "MlflowClient"
) -> None:
    (tmp_path / "in.csv").write_text("text\n" + "the goal of the match\n" * 100_000)
    command = [sys.executable, "-m", "textlstm", "label", f"model_dir={tiny_model}", f"tracking.dir={config.dir}"]
    job = [*command, f"input={tmp_path / 'in.csv'}", f"output={tmp_path / 'out.csv'}", "labelling.num_workers=1"]
    process = subprocess.Popen(job, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not any(
        '"kind": "tags"' in journal.read_text() for journal in Path(config.dir).rglob("*.jsonl")
    ):
        time.sleep(0.05)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert label(tmp_path, tiny_model, f"tracking.dir={config.dir}", "overwrite=true") == 0
    killed = arrived(client, config, status="KILLED")
    assert (killed.name, killed.labelled) == ("label out.csv", str(tmp_path / "in.csv"))
    assert "labelling/rows" not in killed.metrics
    assert arrived(client, config, status="FINISHED").metrics["labelling/rows"] == 160


def test_a_job_with_too_many_rejects_is_a_failed_run(
    tmp_path: Path, tiny_model: Path, config: TrackingConfig, client: "MlflowClient"
) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "goal"}\n{"text": 7}\n')
    typed = ["label", f"model_dir={tiny_model}", f"input={tmp_path / 'in.jsonl'}", f"output={tmp_path / 'out.jsonl'}"]
    assert main([*typed, f"tracking.dir={config.dir}"]) == 2
    assert arrived(client, config, status="FAILED").name == "label out.jsonl"


def test_a_store_that_is_away_costs_no_time_and_no_job(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[float] = []
    monkeypatch.setattr(
        "textlstm.tracking.outbox.OutboxProcess.finish",
        lambda self, *, timeout_seconds, kill: started.append(timeout_seconds),
    )
    away = (f"tracking.dir={tmp_path / 'tracking'}", "tracking.uri=http://127.0.0.1:9")
    assert label(tmp_path, tiny_model, *away) == 0
    assert started == [0]  # seconds that the command waits
    assert list((tmp_path / "tracking").rglob("*.jsonl"))  # what `textlstm sync` sends later


def test_a_journal_that_cannot_be_written_is_a_warning(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert label(tmp_path, tiny_model, f"tracking.dir={tmp_path / 'file' / 'tracking'}") == 0
    assert capsys.readouterr().err.startswith("warning: the job is not in MLflow: ")


def test_without_tracking_there_is_no_journal(tmp_path: Path, tiny_model: Path) -> None:
    assert label(tmp_path, tiny_model, f"tracking.dir={tmp_path / 'tracking'}", "tracking=off") == 0
    assert not (tmp_path / "tracking").exists()
