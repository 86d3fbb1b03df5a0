"""The processes of a scoring server: one that answers, or several behind one socket; their start and their end."""

import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from textlstm.config import ServeConfig
from textlstm.errors import ConfigError, Interrupted, StorageError
from textlstm.processes.addresses import is_loopback
from textlstm.processes.child import die_with_parent
from textlstm.serving.app import ScoringService

_GRACE_SECONDS = 10
"""Time that requests have to end when the server stops."""
_KEEP_SECONDS = 75
"""Time that a connection without a request stays open."""


def check_serving_host(host: str, *, allow_public: bool) -> None:
    """Refuse an address that others can reach, unless that is wanted.

    Raises:
        ConfigError: `host` is not loopback, and `allow_public` is false.
    """
    if not allow_public and not is_loopback(host):
        raise ConfigError(
            f"host: {host} can be reached by others and the scoring server knows no passwords; "
            "keep 127.0.0.1 and put a proxy with authentication in front, or set allow_public=true"
        )


def run_server(config: ServeConfig, model_dir: Path, *, port: int, on_ready: Callable[[], None]) -> None:
    """Serve the model in `model_dir` until a signal ends it; `on_ready` is called once every process has loaded it.

    Raises:
        Interrupted: SIGINT or SIGTERM came, and the requests at hand were answered.
        TextLSTMError: The model cannot be loaded.
        StorageError: The port was taken meanwhile, or a process cannot be started.
    """
    with _listening(config.host, port) as listener:
        if config.num_workers == 1:
            _serve_here(config, model_dir, listener, on_ready=on_ready)
        else:
            _serve_in_workers(config, model_dir, listener, on_ready=on_ready)


def _serve_here(config: ServeConfig, model_dir: Path, listener: socket.socket, *, on_ready: Callable[[], None]) -> None:
    def stop() -> None:
        server.should_exit = True

    service = ScoringService(config, model_dir, on_ready=on_ready, on_failure=stop)
    server = uvicorn.Server(_settings(service.app()))
    # Sockets are listening before the model is loaded, so /health answers at once. After a clean stop uvicorn raises
    # the signal again, and the handler of the command makes `Interrupted` of it.
    server.run(sockets=[listener])
    if service.failure is not None:
        raise service.failure


@dataclass(frozen=True, slots=True)
class _WorkerApp:
    """Makes the application in a worker process; it travels there as a pickle of `multiprocessing`."""

    config: ServeConfig
    model_dir: Path
    ready: Any
    """A semaphore that each worker raises by one."""

    def __call__(self) -> Any:
        die_with_parent()
        service = ScoringService(
            self.config, self.model_dir, on_ready=self.ready.release, on_failure=lambda: _leave(service)
        )
        return service.app()


def _leave(service: ScoringService) -> None:
    for problem in service.failure.problems if service.failure else ():
        print(f"textlstm: {problem}", file=sys.stderr, flush=True)  # noqa: T201 - a process of its own
    # uvicorn restarts a worker that ends with any other status.
    os._exit(STARTUP_FAILURE)


class _Workers(Multiprocess):
    """uvicorn's processes: one that dies is started again; notes the signal that ended them."""

    signal_number = 0

    def handle_int(self) -> None:
        self.signal_number = signal.SIGINT
        super().handle_int()

    def handle_term(self) -> None:
        self.signal_number = signal.SIGTERM
        super().handle_term()


def _serve_in_workers(
    config: ServeConfig, model_dir: Path, listener: socket.socket, *, on_ready: Callable[[], None]
) -> None:
    ready = multiprocessing.get_context("spawn").Semaphore(0)
    settings = _settings(_WorkerApp(config, model_dir, ready), factory=True, workers=config.num_workers)
    workers = _Workers(settings, sockets=[listener])

    def wait_for_all() -> None:
        for _ in range(config.num_workers):
            ready.acquire()
        on_ready()

    threading.Thread(target=wait_for_all, daemon=True).start()
    workers.run()
    if not workers.signal_number:
        raise StorageError("a process of the scoring server could not be started; the lines above say why")
    raise Interrupted(workers.signal_number, "interrupted")


def _settings(app: Any, *, factory: bool = False, workers: int = 1) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=factory,
        workers=workers,
        lifespan="on",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=_KEEP_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


def _listening(host: str, port: int) -> socket.socket:
    # asyncio sends small packets at once only where the socket names TCP itself; else each answer takes 40 ms more.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # The port of a server that has just ended is free at once.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise StorageError(f"port {port} of {host}: {error.strerror}") from error
    listener.set_inheritable(True)
    return listener
