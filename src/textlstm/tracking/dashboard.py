"""MLflow's pages on this machine: one server process, a view with useful columns, nothing open to the network."""

import configparser
import importlib.util
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textlstm.config import DashboardConfig
from textlstm.errors import ConfigError
from textlstm.processes.addresses import is_loopback
from textlstm.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

VIEW_KEY = "textlstm"
_DEFAULT_PASSWORDS = ("password1234", "password", "admin", "")
_METRIC_COLUMNS = ("test/macro_f1", "test/accuracy", "test/expected_calibration_error", "train_seconds")
_PARAMETER_COLUMNS = ("data.source", "model.encoder", "model.hidden_size", "training.learning_rate", "seed")


def check_host(host: str, *, auth_config: str) -> None:
    """Refuse an address that others can reach, unless passwords are set up.

    Raises:
        ConfigError: `host` is not loopback and `auth_config` is missing or keeps MLflow's known password.
    """
    if is_loopback(host):
        return
    if not auth_config:
        raise ConfigError(
            f"host: {host} can be reached by others and MLflow asks for no password; "
            "keep 127.0.0.1, or set auth_config to an INI file for MLflow's basic authentication"
        )
    check_auth_config(Path(auth_config))
    if importlib.util.find_spec("flask_wtf") is None:
        raise ConfigError("auth_config: MLflow's authentication needs a package: pip install 'mlflow[auth]'")


def check_auth_config(path: Path) -> None:
    """Refuse a file for basic authentication that is missing or whose administrator password is a known one.

    Raises:
        ConfigError: It is.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
        password = parser.get("mlflow", "admin_password", fallback="")
    except (OSError, configparser.Error, UnicodeDecodeError) as error:
        reason = f"auth_config: {path}: {type(error).__name__}: expected an INI file with [mlflow]"
        raise ConfigError(reason) from error
    if password.strip() in _DEFAULT_PASSWORDS:
        raise ConfigError(f"auth_config: {path}: set admin_password in [mlflow] to a password of your own")


def server_command(config: DashboardConfig, store: Store, *, port: int) -> list[str]:
    """Return the command of the MLflow server."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", config.host, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store.uri, "--default-artifact-root", store.artifact_root]
    command += ["--artifacts-destination", store.artifact_root]
    if config.auth_config:
        command += ["--app-name", "basic-auth"]
    return command


def server_environment(config: DashboardConfig) -> dict[str, str]:
    """Return the environment of the MLflow server: no telemetry, no job runners, passwords where asked for."""
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # seven processes for features of language models
    # MLflow looks for its commands on PATH; they lie beside this Python.
    environment["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    if config.auth_config:
        environment["MLFLOW_AUTH_CONFIG_PATH"] = str(Path(config.auth_config).absolute())
    return environment


def save_view(client: "MlflowClient", experiment: str, *, metric_columns: Sequence[str] = _METRIC_COLUMNS) -> None:
    """Keep a view of the runs table with useful columns at the experiment; the pages list it under "Views"."""
    columns = [f"metrics.`{name}`" for name in metric_columns]
    columns += [f"params.`{name}`" for name in _PARAMETER_COLUMNS]
    # The state of the runs table in the form that MLflow's pages store.
    state = {
        "searchFilter": "",
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": columns,
        "columnOrder": [],
        "columnWidths": {},
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsVisibilityMap": {},
        "runsHiddenMode": "FIRST_10_RUNS",
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": False,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": None,
        "groupsExpanded": {},
        "autoRefreshEnabled": True,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }
    # The tag's name makes the view a shared one; `runs_address` opens it by its key.
    now = int(time.time() * 1000)
    view = {"name": "textlstm", "createdAt": now, "updatedAt": now, "state": json.dumps(state)}
    client.set_experiment_tag(experiment, f"mlflow.sharedViewState.{VIEW_KEY}", json.dumps(view))


def runs_address(base: str, *, experiment: str) -> str:
    """Return the address of the runs table in that view."""
    return f"{base}/#/experiments/{experiment}/runs?viewStateShareKey={VIEW_KEY}&workflowType=machine_learning"
