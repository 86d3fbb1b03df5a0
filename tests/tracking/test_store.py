"""Where the store is."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from textlstm.config import TrackingConfig
from textlstm.errors import ConfigError
from textlstm.tracking.store import HOME_VARIABLE, locate_store, open_client, without_userinfo

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


def test_relative_folder_lies_where_we_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    store = locate_store(TrackingConfig())
    assert store.uri == f"sqlite:///{tmp_path}/tracking/mlflow.db"
    assert store.artifact_root == f"{tmp_path}/tracking/artifacts"


def test_home_variable_moves_relative_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    assert locate_store(TrackingConfig()).directory == tmp_path / "home" / "tracking"
    assert locate_store(TrackingConfig(uri="sqlite:///runs.db")).uri == f"sqlite:///{tmp_path}/home/runs.db"


def test_absolute_sqlite_address_stays(tmp_path: Path) -> None:
    assert locate_store(TrackingConfig(uri=f"sqlite:///{tmp_path}/a.db")).uri == f"sqlite:///{tmp_path}/a.db"


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns", "postgresql://me:secret@host/db"])
def test_other_kinds_of_store_are_refused_without_their_password(uri: str) -> None:
    with pytest.raises(ConfigError) as caught:
        locate_store(TrackingConfig(uri=uri))
    assert str(caught.value) == (
        f"tracking.uri: {without_userinfo(uri)!r} is no http://, https:// or sqlite:/// address; "
        "leave it empty for the store under tracking.dir"
    )
    assert "secret" not in str(caught.value)


def test_path_that_mlflow_would_read_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        locate_store(TrackingConfig(dir=f"{tmp_path}/50%"))
    assert str(caught.value) == (f"tracking.dir: {tmp_path}/50%: MLflow cannot work in a path with %; take another one")


def _address(client: "MlflowClient", run_id: str) -> str:
    return str(client.get_run(run_id).info.artifact_uri)


def test_a_moved_project_folder_takes_its_addresses_along(
    tmp_path: Path, config: TrackingConfig, tracked: Callable[..., str]
) -> None:
    old = Path(config.dir)
    run_id = tracked(config, "before", correct=[True, False], folder=tmp_path)
    new = tmp_path / "elsewhere" / "tracking"
    new.parent.mkdir()
    old.rename(new)
    moved = TrackingConfig(dir=str(new))
    client = open_client(locate_store(moved))
    assert _address(client, run_id).startswith(f"{new}/artifacts/")
    assert [file.path for file in client.list_artifacts(run_id, "evaluation")] == [
        "evaluation/metrics.json",
        "evaluation/paired.parquet",
    ]
    later = tracked(moved, "after", correct=[True, True], folder=tmp_path)
    assert _address(client, later).startswith(f"{new}/artifacts/")
    assert not old.exists()


def test_a_folder_that_is_still_there_keeps_its_addresses(
    tmp_path: Path, config: TrackingConfig, tracked: Callable[..., str]
) -> None:  # control
    run_id = tracked(config, "before", correct=[True, False], folder=tmp_path)
    copy = TrackingConfig(dir=str(shutil.copytree(config.dir, tmp_path / "copy")))
    client = open_client(locate_store(copy))
    assert _address(client, run_id).startswith(f"{config.dir}/artifacts/")


def test_runs_that_waited_in_a_moved_folder_are_sent(tmp_path: Path) -> None:
    here = locate_store(TrackingConfig(dir=str(tmp_path / "new")))
    (tmp_path / "there").mkdir()
    assert here.is_meant_by(here.public_uri)
    assert here.is_meant_by(f"sqlite:///{tmp_path}/gone/mlflow.db")
    assert not here.is_meant_by(f"sqlite:///{tmp_path}/there/mlflow.db")
    assert not here.is_meant_by(f"sqlite:///{tmp_path}/gone/other.db")
    assert not here.is_meant_by("http://127.0.0.1:5000")
