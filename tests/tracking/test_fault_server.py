"""Fault test F6: a server that is down, hangs, answers 500, dies and comes back costs seconds, never a result."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from textlstm.config import TrackingConfig
from textlstm.tracking import open_run
from textlstm.tracking.outbox import list_journals, read_events
from textlstm.tracking.recovery import is_complete, sync_journals
from textlstm.tracking.registry import connect
from textlstm.tracking.store import Store, locate_store

TIMEOUT_SECONDS = 12.0
NUM_EPOCHS = 5


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _work(config: TrackingConfig, *, epoch_seconds: float = 0.0) -> float:
    """Do a run; return how many seconds tracking added."""
    started = time.monotonic()
    with open_run(config, stage="train", run_name="faulty") as run:
        _ = run.run_id
        for epoch in range(NUM_EPOCHS):
            run.log_metrics({"loss": 1 / (epoch + 1)}, step=epoch)
            time.sleep(epoch_seconds)
        run.log_metrics({"test/accuracy": 0.5})
        _ = run.run_id
    return time.monotonic() - started - NUM_EPOCHS * epoch_seconds


def _journalled(config: TrackingConfig) -> list[tuple[str, float, int]]:
    [paths] = list_journals(locate_store(config).journal_dir)
    return [
        (name, value, step)
        for event in read_events(paths.journal)
        for name, value, step, _ in event.data.get("metrics", [])  # type: ignore[attr-defined]
        if not name.startswith("system/")
    ]


EXPECTED = [("loss", 1.0, 0), ("loss", 0.5, 1), ("loss", 1 / 3, 2), ("loss", 0.25, 3), ("loss", 0.2, 4)]


def test_server_that_is_down_costs_little(tmp_path: Path) -> None:
    config = TrackingConfig(
        dir=str(tmp_path / "t"), uri=f"http://127.0.0.1:{_free_port()}", timeout_seconds=TIMEOUT_SECONDS
    )
    assert _work(config) <= TIMEOUT_SECONDS + 2
    assert _journalled(config) == [*EXPECTED, ("test/accuracy", 0.5, 0)]


def test_server_that_answers_500_costs_little(tmp_path: Path, server_500: "object") -> None:
    uri: str = server_500.uri  # type: ignore[attr-defined]
    config = TrackingConfig(dir=str(tmp_path / "t"), uri=uri, timeout_seconds=TIMEOUT_SECONDS)
    assert _work(config) <= TIMEOUT_SECONDS + 2
    assert server_500.num_requests > 0  # type: ignore[attr-defined]
    assert _journalled(config) == [*EXPECTED, ("test/accuracy", 0.5, 0)]


@pytest.mark.long
def test_server_that_never_answers_costs_at_most_the_timeout(tmp_path: Path, silent_server: "object") -> None:
    uri: str = silent_server.uri  # type: ignore[attr-defined]
    config = TrackingConfig(dir=str(tmp_path / "t"), uri=uri, timeout_seconds=TIMEOUT_SECONDS)
    assert _work(config) <= TIMEOUT_SECONDS + 2
    assert _journalled(config) == [*EXPECTED, ("test/accuracy", 0.5, 0)]


@pytest.mark.long
def test_password_of_the_server_stays_out_of_the_journal(tmp_path: Path) -> None:
    uri = f"http://me:canary-pw@127.0.0.1:{_free_port()}"
    config = TrackingConfig(dir=str(tmp_path / "t"), uri=uri, timeout_seconds=TIMEOUT_SECONDS)
    with open_run(config, stage="train", run_name="x") as run:
        pass
    assert "canary-pw" not in "".join(run.summary())
    assert not [file for file in Path(config.dir).rglob("*") if file.is_file() and b"canary-pw" in file.read_bytes()]


class Server:
    """A real MLflow server that can be killed and started again on the same port and store."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = _free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", f"sqlite:///{self.directory}/server.db", "--workers", "1"]
        command += ["--artifacts-destination", str(self.directory / "artifacts")]
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        self._process = subprocess.Popen(
            command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=2).close()
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise AssertionError("the server did not start")

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A running MLflow server."""
    server = Server(tmp_path)
    server.start()
    yield server
    server.kill()


def _stored(config: TrackingConfig) -> tuple[str, list[tuple[float, int]], dict[str, float]]:
    """Return status, points of the loss and last figures of the only run."""
    store: Store = locate_store(config)
    client = connect(store, timeout_seconds=30)
    [run] = client.search_runs([client.get_experiment_by_name("textlstm").experiment_id])
    points = [(point.value, point.step) for point in client.get_metric_history(run.info.run_id, "loss")]
    figures = {name: value for name, value in run.data.metrics.items() if not name.startswith("system/")}
    return run.info.status, points, figures


COMPLETE = ("FINISHED", [(value, step) for _, value, step in EXPECTED], {"loss": 0.2, "test/accuracy": 0.5})


@pytest.mark.long
def test_server_killed_in_the_middle_and_back_gets_everything(tmp_path: Path, server: Server) -> None:
    config = TrackingConfig(dir=str(tmp_path / "t"), uri=server.uri, timeout_seconds=TIMEOUT_SECONDS)
    with open_run(config, stage="train", run_name="faulty") as run:
        assert run.run_id
        for epoch in range(NUM_EPOCHS):
            if epoch == 1:
                server.kill()
            if epoch == 3:
                server.start()
            run.log_metrics({"loss": 1 / (epoch + 1)}, step=epoch)
            time.sleep(1.0)
        run.log_metrics({"test/accuracy": 0.5})
    sync_journals(config)  # brings nothing new where the outbox_process was done
    assert _stored(config) == COMPLETE


@pytest.mark.long
def test_server_killed_for_good_gets_everything_by_sync(tmp_path: Path, server: Server) -> None:
    config = TrackingConfig(dir=str(tmp_path / "t"), uri=server.uri, timeout_seconds=TIMEOUT_SECONDS)
    started = time.monotonic()
    with open_run(config, stage="train", run_name="faulty") as run:
        assert run.run_id
        for epoch in range(NUM_EPOCHS):
            if epoch == 2:
                server.kill()
            run.log_metrics({"loss": 1 / (epoch + 1)}, step=epoch)
            time.sleep(0.5)
        run.log_metrics({"test/accuracy": 0.5})
        ending = time.monotonic()
    assert time.monotonic() - ending <= TIMEOUT_SECONDS + 2
    assert ending - started < 60
    [paths] = list_journals(locate_store(config).journal_dir)
    assert not is_complete(paths)
    assert run.summary()[-1].endswith("nothing is lost, `textlstm sync` or the next run sends the rest")
    [synced] = sync_journals(config)  # still down
    assert synced.state.last_error == "no answer: connection refused"
    server.start()
    assert _stored(config) != COMPLETE  # negative control: without the sync it is not there
    for _ in range(2):
        sync_journals(config)
        assert _stored(config) == COMPLETE


@pytest.mark.long
def test_next_run_brings_what_the_last_one_left(tmp_path: Path, server: Server) -> None:
    config = TrackingConfig(dir=str(tmp_path / "t"), uri=server.uri, timeout_seconds=TIMEOUT_SECONDS)
    server.kill()
    _work(config)
    server.start()
    other = TrackingConfig(dir=config.dir, uri=server.uri, experiment="other")
    with open_run(other, stage="label", run_name="next"):
        pass
    assert _stored(config) == COMPLETE
