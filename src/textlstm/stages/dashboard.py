"""`textlstm dashboard`: MLflow's pages on this machine, opened on the runs of the experiment."""

import sys

from textlstm.config import DashboardConfig
from textlstm.errors import StorageError
from textlstm.processes.addresses import free_port
from textlstm.stages.screen import note, say
from textlstm.tracking.dashboard import (
    check_host,
    runs_address,
    save_view,
    server_command,
    server_environment,
)
from textlstm.tracking.overview import keep_overview
from textlstm.tracking.recovery import sync_journals
from textlstm.tracking.registry import connect
from textlstm.tracking.server import running_server
from textlstm.tracking.store import experiment_id, locate_store, without_userinfo


def dashboard(config: DashboardConfig) -> None:
    """Serve the store's pages until a signal ends it; a store on a server has pages of its own, whose address is told.

    Raises:
        ConfigError: Others could reach the pages without a password.
        StorageError: The store or the server cannot be started.
    """
    # Refuse an open host before any server starts.
    check_host(config.host, auth_config=config.auth_config)
    store = locate_store(config.tracking)
    # What dead runs and silent servers left behind.
    sync_journals(config.tracking)
    client = connect(store, timeout_seconds=config.tracking.timeout_seconds)
    experiment = experiment_id(client, store, name=config.tracking.experiment)
    save_view(client, experiment)
    overview = keep_overview(config.tracking, client)
    say(f"overview    {overview}")
    if not store.is_local:
        say(f"dashboard   {runs_address(without_userinfo(store.uri), experiment=experiment)}")
        return
    # The server itself.
    port = free_port(config.host, first=config.port)
    base = f"http://{f'[{config.host}]' if ':' in config.host else config.host}:{port}"
    with running_server(
        server_command(config, store, port=port),
        environment=server_environment(config),
        log=store.directory / "dashboard.log",
        folder=store.directory,
    ) as server:
        server.wait_until_healthy(f"{base}/health")
        say(f"dashboard   {runs_address(base, experiment=experiment)}")
        sys.stdout.flush()  # the address must be readable while the server runs
        note("stop it with Ctrl-C")
        # The wait returns only when the server ends by itself; a signal leaves the block with an exception.
        status = server.wait()
    raise StorageError(f"the MLflow server ended by itself with status {status}; its log is {server.log}")
