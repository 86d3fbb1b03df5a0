"""What the dashboard listens on, and that it ends with everything it started."""

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from textlstm.config import DashboardConfig, TrackingConfig
from textlstm.errors import ConfigError, StorageError
from textlstm.processes.addresses import free_port
from textlstm.tracking.dashboard import check_host, server_command
from textlstm.tracking.server import running_server
from textlstm.tracking.store import locate_store

STAGE = "import sys; from textlstm.cli.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.parametrize("host", ["0.0.0.0", "10.1.2.3", "::", "example.org"])
def test_public_address_without_passwords_is_refused(host: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_host(host, auth_config="")
    assert str(caught.value) == (
        f"host: {host} can be reached by others and MLflow asks for no password; "
        "keep 127.0.0.1, or set auth_config to an INI file for MLflow's basic authentication"
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.3.2.1"])
def test_loopback_needs_no_passwords(host: str) -> None:
    check_host(host, auth_config="")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "set admin_password in [mlflow] to a password of your own"),
        ("not an ini file", "MissingSectionHeaderError: expected an INI file with [mlflow]"),
        ("[mlflow]\nadmin_password = password1234\n", "set admin_password in [mlflow] to a password of your own"),
        ("[mlflow]\n", "set admin_password in [mlflow] to a password of your own"),
    ],
)
def test_public_address_needs_a_password_of_one_s_own(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "auth.ini"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        check_host("0.0.0.0", auth_config=str(path))
    assert str(caught.value) == f"auth_config: {path}: {reason}"


def test_authentication_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "auth.ini"
    path.write_text("[mlflow]\nadmin_password = correct horse battery staple\n")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError) as caught:
        check_host("0.0.0.0", auth_config=str(path))
    assert str(caught.value) == "auth_config: MLflow's authentication needs a package: pip install 'mlflow[auth]'"


def test_public_address_with_a_password_is_served_with_authentication(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "auth.ini"
    path.write_text("[mlflow]\nadmin_password = correct horse battery staple\n")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    check_host("0.0.0.0", auth_config=str(path))
    config = DashboardConfig(host="0.0.0.0", auth_config=str(path), tracking=TrackingConfig(dir=str(tmp_path)))
    command = server_command(config, locate_store(config.tracking), port=5000)
    assert command[command.index("--app-name") + 1] == "basic-auth"


def test_taken_port_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        first = taken.getsockname()[1]
        assert free_port("127.0.0.1", first=first) > first


def test_foreign_address_cannot_be_listened_on() -> None:
    with pytest.raises(ConfigError, match=r"host: 203\.0\.113\.7 is no address of this machine"):
        free_port("203.0.113.7", first=5000)


def test_server_is_stopped_with_its_children(tmp_path: Path) -> None:
    """A server that starts a child and ignores SIGTERM is ended as a whole."""
    code = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
        "print(child.pid, flush=True); time.sleep(600)"
    )
    log = tmp_path / "log"
    with running_server([sys.executable, "-c", code], environment={}, log=log, folder=tmp_path):
        while not log.read_text().strip():
            time.sleep(0.02)
        child = int(log.read_text())
        assert _lives(child)
    assert not _lives(child)


def test_server_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('port is taken'); raise SystemExit(3)"]
    with (
        running_server(command, environment={}, log=tmp_path / "log", folder=tmp_path) as server,
        pytest.raises(StorageError) as caught,
    ):
        server.wait_until_healthy("http://127.0.0.1:9/health")
    assert str(caught.value) == "the server ended with status 3: port is taken"


def _lives(pid: int) -> bool:
    import psutil

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.long
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_dashboard_ends_cleanly(config: TrackingConfig, number: signal.Signals, status: int) -> None:
    import psutil

    command = [sys.executable, "-c", STAGE, "dashboard", f"tracking.dir={config.dir}", "port=5401"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == f"overview    {config.dir}/overview.html\n"
    address = process.stdout.readline()
    assert re.fullmatch(
        r"dashboard   http://127\.0\.0\.1:54\d\d/#/experiments/1/runs"
        r"\?viewStateShareKey=textlstm&workflowType=machine_learning\n",
        address,
    )
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(number)
    assert process.wait(timeout=30) == status
    assert not [child for child in children if _lives(child.pid)]
