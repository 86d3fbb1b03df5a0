"""Stores, journals and servers for the tests of tracking."""

import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from textlstm.config import TrackingConfig
from textlstm.tracking.store import configure_environment, locate_store, open_client

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
