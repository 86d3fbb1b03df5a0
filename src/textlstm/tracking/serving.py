"""The scoring server: MLflow's own, over a model that was logged by `train` or lies in a folder."""

import os
import sys
from pathlib import Path

from textlstm.config import ServeConfig
from textlstm.errors import ConfigError
from textlstm.tracking.dashboard import is_loopback


def check_serving_host(host: str) -> None:
    """Refuse an address that others can reach.

    Raises:
        ConfigError: `host` is not loopback.
    """
    if not is_loopback(host):
        raise ConfigError(
            f"host: {host} can be reached by others and the scoring server knows no passwords; "
            "keep 127.0.0.1 and put a proxy with authentication in front"
        )


def serving_command(config: ServeConfig, model: Path, *, port: int) -> list[str]:
    """Return the command that serves the pyfunc model in the folder `model`."""
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(model)]
    command += ["--env-manager", "local", "--host", config.host, "--port", str(port)]
    return [*command, "--workers", str(config.num_workers), "--timeout", "120"]


def serving_environment() -> dict[str, str]:
    """Return the environment of the scoring server; MLflow looks for its commands on PATH."""
    bin_dir = str(Path(sys.executable).parent)
    package_root = str(Path(__file__).resolve().parents[2])
    return {
        **os.environ,
        "PATH": os.pathsep.join((bin_dir, os.environ.get("PATH", ""))),
        "PYTHONPATH": os.pathsep.join(part for part in (package_root, os.environ.get("PYTHONPATH", "")) if part),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }
