"""`textlstm serve`: a scoring server for one model on this machine."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from textlstm.config import ServeConfig
from textlstm.errors import StorageError
from textlstm.model_folder import read_manifest
from textlstm.stages.screen import note, say
from textlstm.tracking.dashboard import free_port
from textlstm.tracking.model_logging import save_pyfunc
from textlstm.tracking.registry import resolve_model_dir
from textlstm.tracking.server import check_serving_host, running_server, serving_command, serving_environment
from textlstm.tracking.store import configure_environment, locate_store


def serve(config: ServeConfig) -> None:
    """Serve `config.model_dir` until a signal ends it.

    Raises:
        ConfigError: Others could reach the server.
        InputError: There is no such model.
        StorageError: The server cannot be started.
    """
    # Refuse an open host and a missing model before any server starts.
    check_serving_host(config.host)
    model_dir = resolve_model_dir(config.model_dir, config.tracking)
    read_manifest(model_dir)
    configure_environment(timeout_seconds=config.tracking.timeout_seconds)
    store = locate_store(config.tracking)
    # MLflow serves a model in its own format; the copy lives only as long as the server.
    with TemporaryDirectory() as directory:
        model = Path(directory) / "model"
        save_pyfunc(model_dir, model)
        port = free_port(config.host, first=config.port)
        base = f"http://{f'[{config.host}]' if ':' in config.host else config.host}:{port}"
        with running_server(
            serving_command(config, model, port=port),
            environment=serving_environment(),
            log=store.directory / "serving.log",
            folder=store.directory,
        ) as server:
            server.wait_until_healthy(f"{base}/health")
            say(f"scoring     {base}/invocations")
            sys.stdout.flush()  # the address must be readable while the server runs
            note(
                f'try: curl -s {base}/invocations -H "Content-Type: application/json" '
                '-d \'{"dataframe_split": {"columns": ["text"], "data": [["A late goal decided the match."]]}}\'',
                "stop it with Ctrl-C",
            )
            # The wait returns only when the server ends by itself; a signal leaves the block with an exception.
            status = server.wait()
    raise StorageError(f"the scoring server ended by itself with status {status}; its log is {server.log}")
