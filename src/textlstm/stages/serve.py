"""`textlstm serve`: a scoring server for one model."""

import sys

from textlstm.config import ServeConfig
from textlstm.model_folder import read_manifest
from textlstm.processes.addresses import free_port
from textlstm.serving.server import check_serving_host, run_server
from textlstm.stages.screen import note, say
from textlstm.tracking.registry import resolve_model_dir


def serve(config: ServeConfig) -> None:
    """Serve `config.model_dir` until a signal ends it.

    Raises:
        ConfigError: Others could reach the server.
        InputError: There is no such model.
        IntegrityError: A file of the model was changed.
        Interrupted: A signal came; the requests at hand were answered first.
    """
    # Refuse an open host and a missing model before anything listens.
    check_serving_host(config.host, allow_public=config.allow_public)
    model_dir = resolve_model_dir(config.model_dir, config.tracking)
    read_manifest(model_dir)
    port = free_port(config.host, first=config.port)
    base = f"http://{f'[{config.host}]' if ':' in config.host else config.host}:{port}"

    def announce() -> None:
        say(f"scoring     {base}/invocations")
        sys.stdout.flush()  # the address must be readable while the server runs
        note(
            f'try: curl -s {base}/invocations -H "Content-Type: application/json" '
            '-d \'{"dataframe_split": {"columns": ["text"], "data": [["A late goal decided the match."]]}}\'',
            "stop it with Ctrl-C",
        )

    run_server(config, model_dir, port=port, on_ready=announce)
