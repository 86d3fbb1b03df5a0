"""Fault tests of a training while its run is open.

After kill -9 the next command leaves no run that looks alive; SIGTERM and SIGINT leave a checkpoint, a closed run and
the exit code that says so (fault test F3).
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from textlstm.config import TrackingConfig

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

pytestmark = pytest.mark.long
WORDS = {"sport": ("goal", "match", "coach"), "money": ("bank", "share", "profit")}
SECONDS = 120.0
CHECKPOINT_SECONDS = 10
"""A checkpoint is there so soon after a signal."""
SMALL = (
    *("text=fast", "model.hidden_size=8", "model.embedding_size=8", "training.num_threads=1", "num_workers=1"),
    *("evaluation.bootstrap_samples=20", "evaluation.report=false", "tracking.register="),
)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """120 short texts of two classes."""
    dice = random.Random(1)
    lines = ["text,label"]
    for number in range(120):
        label = list(WORDS)[number % 2]
        lines.append(f"{' '.join(dice.choices(WORDS[label], k=5))} {number},{label}")
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


class Training:
    """A `textlstm train` that goes on until it is killed, with its outbox_process."""

    def __init__(self, rows: Path, config: TrackingConfig) -> None:
        command = [*_train(rows, config, "victim"), "training.epochs=100000", "training.patience=0"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """Kill -9 the command and the process that carries its journal to MLflow."""
        import psutil

        victims = psutil.Process(self._process.pid).children(recursive=True)
        assert victims
        os.kill(self._process.pid, signal.SIGKILL)
        for victim in victims:
            victim.kill()
        assert self._process.wait() == -signal.SIGKILL
        psutil.wait_procs(victims, timeout=SECONDS)

    def stop(self, number: signal.Signals) -> int:
        """Send a signal and return the exit code; the last word about the run may take MLflow longer."""
        self._process.send_signal(number)
        return self._process.wait(timeout=SECONDS)

    def clean_up(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def training(rows: Path, config: TrackingConfig, client: "MlflowClient") -> Iterator[Training]:
    """A training of which MLflow has seen the curve of an epoch."""
    training = Training(rows, config)
    try:
        _wait_for(lambda: any("epoch/train_loss" in run.data.metrics for run in _runs(client)))
        yield training
    finally:
        training.clean_up()


def test_next_training_closes_a_training_that_was_killed_with_its_courier(
    training: Training, rows: Path, config: TrackingConfig, client: "MlflowClient"
) -> None:
    training.kill()
    time.sleep(2)
    assert _statuses(client) == {"victim": "RUNNING"}  # negative control: nobody else closes it
    subprocess.run([*_train(rows, config, "next"), "training.epochs=1"], check=True, timeout=SECONDS)
    assert _statuses(client) == {"victim": "KILLED", "next": "FINISHED"}


def test_command_that_trains_nothing_closes_it_too(
    training: Training, config: TrackingConfig, client: "MlflowClient"
) -> None:
    training.kill()
    assert _statuses(client) == {"victim": "RUNNING"}
    command = [sys.executable, "-m", "textlstm", "sync", f"tracking.dir={config.dir}"]
    subprocess.run(command, check=True, timeout=SECONDS)
    assert _statuses(client) == {"victim": "KILLED"}


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_training_has_a_checkpoint_a_closed_run_and_continues_in_it(
    number: signal.Signals,
    exit_code: int,
    training: Training,
    rows: Path,
    config: TrackingConfig,
    client: "MlflowClient",
) -> None:
    asked = time.time()
    assert training.stop(number) == exit_code
    checkpoints = rows.parent.glob("victim.unfinished/network-0/state-*.json")
    assert 0 < max(path.stat().st_mtime for path in checkpoints) - asked < CHECKPOINT_SECONDS
    _wait_for(lambda: _statuses(client) == {"victim": "KILLED"})
    (before,) = _runs(client)
    num_epochs = len(_epochs(client, before))
    again = Training(rows, config)
    try:
        _wait_for(lambda: len(_epochs(client, before)) > num_epochs)
        assert again.stop(number) == exit_code
    finally:
        again.clean_up()
    _wait_for(lambda: _statuses(client) == {"victim": "KILLED"})
    (after,) = _runs(client)  # the same run, and its curve goes on: no epoch is missing, none is there twice
    assert after.info.run_id == before.info.run_id
    assert _epochs(client, after) == list(range(1, len(_epochs(client, after)) + 1))


def _train(rows: Path, config: TrackingConfig, name: str) -> list[str]:
    """Return the command that trains a small model under the run name `name`."""
    folder = rows.parent
    command = [sys.executable, "-m", "textlstm", "train", "data=files", f"data.train={rows}", *SMALL]
    command += [f"output_dir={folder / name}", f"prepared_dir={folder / 'prepared'}"]
    return [*command, f"tracking.dir={config.dir}", f"tracking.run_name={name}"]


def _runs(client: "MlflowClient") -> "list[Run]":
    experiment = client.get_experiment_by_name("textlstm")
    return list(client.search_runs([experiment.experiment_id])) if experiment else []


def _epochs(client: "MlflowClient", run: "Run") -> list[int]:
    return [point.step for point in client.get_metric_history(run.info.run_id, "epoch/train_loss")]


def _statuses(client: "MlflowClient") -> dict[str, str]:
    return {run.info.run_name: run.info.status for run in _runs(client)}


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
