"""Fault test F7: eight processes open a store that does not exist yet, at the same time."""

import subprocess
import sys
from pathlib import Path

import pytest

from textlstm.config import TrackingConfig
from textlstm.tracking.registry import connect
from textlstm.tracking.store import locate_store

NUM_JOBS = 8
_JOB = """
import sys
from textlstm.config import TrackingConfig
from textlstm.tracking import open_run
config = TrackingConfig(dir=sys.argv[1], timeout_seconds=200)
sys.stdin.readline()
with open_run(config, stage="train", run_name=sys.argv[2]) as run:
    for step in range(5):
        run.log_metrics({"loss": 1.0 / (step + 1)}, step=step)
print(run.summary())
"""
_UNGUARDED_JOB = """
import sys
from mlflow.tracking import MlflowClient
sys.stdin.readline()
client = MlflowClient("sqlite:///" + sys.argv[1] + "/mlflow.db")
run = client.create_run(client.create_experiment(sys.argv[2]))
client.log_metric(run.info.run_id, "loss", 1.0)
"""


def _run_together(code: str, directory: Path) -> list[int]:
    """Start all jobs, let them go at once, and return their exit statuses."""
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(directory), f"job-{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for number in range(NUM_JOBS)
    ]
    for job in jobs:
        assert job.stdin is not None
        job.stdin.write(b"go\n")
        job.stdin.flush()
    return [job.wait(timeout=240) for job in jobs]


def _finished_runs(directory: Path) -> list[tuple[str, str, int]]:
    client = connect(locate_store(TrackingConfig(dir=str(directory))), timeout_seconds=30)
    runs = client.search_runs([client.get_experiment_by_name("textlstm").experiment_id])
    return sorted(
        (run.info.run_name, run.info.status, len(client.get_metric_history(run.info.run_id, "loss"))) for run in runs
    )


@pytest.mark.long
@pytest.mark.parametrize("attempt", range(3))
def test_eight_jobs_at_once_on_a_fresh_store(tmp_path: Path, attempt: int) -> None:
    assert _run_together(_JOB, tmp_path) == [0] * NUM_JOBS
    assert _finished_runs(tmp_path) == [(f"job-{number}", "FINISHED", 5) for number in range(NUM_JOBS)]


@pytest.mark.long
def test_without_the_lock_jobs_fail(tmp_path: Path) -> None:
    """Negative control: plain clients break on a fresh store."""
    assert any(_run_together(_UNGUARDED_JOB, tmp_path))
