"""Stores, journals and servers for the tests of tracking."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from textlstm.config import TrackingConfig
from textlstm.tracking import PairedRows, open_run
from textlstm.tracking.outbox import JournalPaths
from textlstm.tracking.sender import Sender
from textlstm.tracking.store import Store, configure_environment, locate_store, open_client

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's schema and nothing in it; making one takes seconds, copying it none."""
    configure_environment(timeout_seconds=30.0)
    config = TrackingConfig(dir=str(tmp_path_factory.mktemp("empty") / "tracking"))
    open_client(locate_store(config))
    return Path(config.dir) / "mlflow.db"


@pytest.fixture
def config(tmp_path: Path, empty_database: Path) -> TrackingConfig:
    """An empty sqlite store of this test's own."""
    config = TrackingConfig(dir=str(tmp_path / "tracking"))
    Path(config.dir).mkdir()
    shutil.copyfile(empty_database, Path(config.dir) / "mlflow.db")
    return config


@pytest.fixture
def client(config: TrackingConfig) -> "MlflowClient":
    """A client of the store of `config`."""
    return open_client(locate_store(config))


class StubServer:
    """An HTTP server that gives the same answer to everything, or none at all."""

    def __init__(self, status: int | None) -> None:
        self.num_requests = 0
        self.released = threading.Event()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stub.num_requests += 1
                if status is None:
                    stub.released.wait(60)
                    return
                body = b'{"error_code": "INTERNAL_ERROR", "message": "broken on purpose"}'
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.uri = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server_500() -> Iterator[StubServer]:
    """A server that answers 500 to everything."""
    server = StubServer(500)
    yield server
    server.close()


@pytest.fixture
def silent_server() -> Iterator[StubServer]:
    """A server that takes every request and never answers."""
    server = StubServer(None)
    yield server
    server.close()


DIGEST = "d" * 64


def make_run(
    config: TrackingConfig,
    name: str,
    *,
    correct: Sequence[bool],
    folder: Path,
    model_dir: Path | None = None,
    digest: str = DIGEST,
    half_width: float = 0.02,
    settings: dict[str, object] | None = None,
) -> str:
    """Track a training run whose test rows were `correct`, with curves, figures and artefacts; return its id."""
    accuracy = sum(correct) / len(correct)
    ends = [accuracy - half_width, accuracy + half_width]
    content = {
        "accuracy": accuracy,
        "intervals": {"accuracy": ends, "macro_f1": ends},
        "per_class": {"sport": {}, "money": {}},
    }
    (folder / "metrics.json").write_text(json.dumps(content))
    label_ids = [row % 2 for row in range(len(correct))]
    with open_run(config, stage="train", run_name=name) as run:
        run.log_params(settings or {"model": {"encoder": "lstm"}, "seed": 1})
        run.log_dataset("tiny", context="train", digest="e" * 64, num_rows=100, source="files")
        run.log_dataset("tiny", context="test", digest=digest, num_rows=len(correct), source="files")
        for epoch in range(1, 5):
            run.log_metrics({"epoch/validation_macro_f1": accuracy - 0.2 / epoch}, step=epoch)
        run.log_metrics({"test/accuracy": accuracy, "test/macro_f1": accuracy, "train_seconds": 61.0})
        run.log_artifact(folder / "metrics.json", folder="evaluation")
        rows = PairedRows([f"row-{row}" for row in range(len(correct))], correct, label_ids, label_ids, digest)
        run.log_paired_rows(rows)
        if model_dir is not None:
            run.log_model(model_dir)
        run_id = run.run_id
    assert run_id is not None
    return run_id


class InProcessCourier:
    """Sends as the outbox_process does, without a process of its own: for tests that are about something else."""

    def __init__(self, paths: JournalPaths, store: Store, *, timeout_seconds: float) -> None:
        self._sender = Sender(paths, store)

    def is_running(self) -> bool:
        self._sender.pump()
        return False

    def finish(self, *, timeout_seconds: float, kill: bool = True) -> None:
        assert self._sender.pump(), self._sender.state.last_error


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs send from this process: fast, and debuggable."""
    monkeypatch.setattr("textlstm.tracking.run.OutboxProcess", InProcessCourier)


@pytest.fixture
def tracked(in_process: None) -> Callable[..., str]:
    """A function that tracks a training run without training; see `make_run`."""
    return make_run
