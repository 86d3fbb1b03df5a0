"""Where the store is."""

from pathlib import Path

import pytest

from textlstm.config import TrackingConfig
from textlstm.errors import ConfigError
from textlstm.tracking.store import HOME_VARIABLE, locate_store, without_userinfo


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
