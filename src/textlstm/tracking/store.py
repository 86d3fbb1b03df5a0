"""Where MLflow keeps runs: one absolute address, and a schema that is created once.

MLflow resolves a relative address against the working directory, and a folder `mlruns` that happens to lie there wins
over it in silence. So every address here is absolute and given explicitly. A fresh sqlite store that several processes
open at the same time breaks, so the first opening happens under a file lock.
"""

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from textlstm.config import TrackingConfig
from textlstm.errors import ConfigError, InputError
from textlstm.storage.locks import exclusive_lock

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

# A project folder that was moved: MLflow keeps absolute addresses of artefacts, which still name the old place.

ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Tables and columns of MLflow's database that hold addresses of artefacts."""


def follow_move(database: Path, artifact_root: str) -> str:
    """Rewrite addresses below a folder of artefacts that is gone; return that folder, empty where nothing was to do.

    Hold the store's lock.

    Args:
        database: MLflow's sqlite file.
        artifact_root: the folder beside it, where the artefacts are now.
    """
    # The second manager is one transaction: a kill leaves all addresses old or all of them new.
    with closing(sqlite3.connect(database, timeout=30.0)) as connection, connection:
        # The folders of experiments tell where all artefacts were.
        locations = [row[0] or "" for row in connection.execute("SELECT artifact_location FROM experiments")]
        old_root = next((root for root in map(_root, locations) if _was_moved(root, artifact_root)), "")
        if not old_root:
            return ""
        columns = {table: _columns(connection, table) for table, _ in ADDRESSES}
        for table, column in ADDRESSES:
            # Only columns that this version of MLflow's database has.
            if column in columns[table]:
                # Whole folders only: /old/artifacts/x is below /old/artifacts, /old/artifacts2/x is not.
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608  (names of ours)
                    f"WHERE substr({column}, 1, ?) = ?",
                    (artifact_root, len(old_root) + 1, len(old_root) + 1, f"{old_root}/"),
                )
    return old_root


def _root(location: str) -> str:
    """Return the folder of all artefacts, from the address of one experiment's folder in it."""
    return str(Path(location.removeprefix("file://")).parent)


def _was_moved(root: str, artifact_root: str) -> bool:
    is_ours = Path(root).is_absolute() and Path(root).name == Path(artifact_root).name
    return is_ours and root != artifact_root and not Path(root).exists() and Path(artifact_root).is_dir()


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


HOME_VARIABLE = "TEXTLSTM_HOME"
DATABASE_NAME = "mlflow.db"
_SCHEMES = ("http", "https", "sqlite")


class Store(NamedTuple):
    """Addresses of one MLflow store."""

    uri: str
    """Absolute sqlite address or the server's, with its user and password where it has them: never log this one."""
    artifact_root: str
    """Folder of artefacts of new experiments; empty where the server decides."""
    directory: Path
    """Folder of the default store, the journal and the locks."""

    @property
    def public_uri(self) -> str:
        """`uri` without user and password."""
        return without_userinfo(self.uri)

    @property
    def is_local(self) -> bool:
        """Whether the store is a sqlite file."""
        return self.uri.startswith("sqlite:")

    def is_meant_by(self, uri: str) -> bool:
        """Return whether `uri`, noted earlier, is this store: by address, or because the project folder was moved."""
        if uri == self.public_uri:
            return True
        if not (self.is_local and uri.startswith("sqlite:///")):
            return False
        # A database of the same name whose old folder is gone: the project was moved.
        old, here = Path(uri.removeprefix("sqlite:///")), Path(self.uri.removeprefix("sqlite:///"))
        return old.name == here.name and not old.parent.exists()

    @property
    def schema_lock(self) -> Path:
        """Held while the schema or an experiment is created."""
        return self.directory / "schema.lock"

    @property
    def journal_dir(self) -> Path:
        """Folder of the journals."""
        return self.directory / "journal"


def locate_store(config: TrackingConfig) -> Store:
    """Return the absolute addresses that `config` means; nothing is created.

    Raises:
        ConfigError: The address is of a kind that is not supported.
    """
    directory = tracking_dir(config)
    _refuse_special(directory, key="tracking.dir")
    if not config.uri:
        return Store(f"sqlite:///{directory / DATABASE_NAME}", str(directory / "artifacts"), directory)
    scheme = urlsplit(config.uri).scheme
    if scheme not in _SCHEMES:
        raise ConfigError(
            f"tracking.uri: {without_userinfo(config.uri)!r} is no http://, https:// or sqlite:/// address; "
            "leave it empty for the store under tracking.dir"
        )
    if scheme == "sqlite":
        # A relative path counts from the project's folder; an absolute one stays as it is.
        database = _base_dir() / config.uri.removeprefix("sqlite:///")
        _refuse_special(database, key="tracking.uri")
        return Store(f"sqlite:///{database}", str(database.parent / "artifacts"), directory)
    return Store(config.uri.rstrip("/"), "", directory)


def _refuse_special(path: Path, *, key: str) -> None:
    special = sorted(set("%?") & set(str(path)))
    if special:
        raise ConfigError(f"{key}: {path}: MLflow cannot work in a path with {' or '.join(special)}; take another one")


def tracking_dir(config: TrackingConfig) -> Path:
    """Return the absolute folder of the default store; a relative one is below TEXTLSTM_HOME or the working folder."""
    return _base_dir() / Path(config.dir).expanduser()


def _base_dir() -> Path:
    return Path(os.environ.get(HOME_VARIABLE) or Path.cwd()).expanduser().absolute()


def without_userinfo(uri: str) -> str:
    """Return `uri` without user and password: `http://me:pw@host/` becomes `http://host/`."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else uri


def configure_environment(*, timeout_seconds: float) -> None:
    """Set MLflow's own switches for this process: no telemetry, no long retries. Call before `import mlflow`."""
    # A request may take a third of the patience, at least 1 s and at most 10 s.
    request_seconds = max(1, min(10, int(timeout_seconds / 3)))
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    os.environ["GIT_PYTHON_REFRESH"] = "quiet"
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    # A call that returns must be confirmed, and the journal repeats what fails: MLflow must not do so itself.
    os.environ["MLFLOW_ENABLE_ASYNC_LOGGING"] = "false"
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(request_seconds)
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"


def open_client(store: Store) -> "MlflowClient":
    """Return a client of `store`; imports MLflow (seconds) and creates the schema of a fresh sqlite store.

    Raises:
        StorageError: The folder cannot be created.
    """
    import mlflow
    from mlflow.tracking import MlflowClient

    mlflow.set_tracking_uri(store.uri)  # parts of the client ask for the global address
    mlflow.set_registry_uri(store.uri)
    if not store.is_local:
        return MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)
    database = Path(store.uri.removeprefix("sqlite:///"))
    # One process at a time: a fresh store breaks when several open it at once.
    with exclusive_lock(store.schema_lock):
        database.parent.mkdir(parents=True, exist_ok=True)
        client = MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)
        # Both questions are asked under the lock: after them the tables of runs and of models are there.
        client.search_experiments(max_results=1)
        client.search_registered_models(max_results=1)
        follow_move(database, store.artifact_root)
    return client


def experiment_id(
    client: "MlflowClient", store: Store, *, name: str, remedy: str = "set another tracking.experiment"
) -> str:
    """Return the id of the experiment called `name`, created when absent.

    Raises:
        InputError: It was deleted; MLflow takes no runs for it until it is restored. `remedy` says what else would do.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is not None and found.lifecycle_stage == "deleted":
        raise InputError(
            f"the experiment {name!r} was deleted in MLflow; restore it with `mlflow experiments restore "
            f"--experiment-id {found.experiment_id}`, or {remedy}"
        )
    if found is None:
        # A server chooses the place of artefacts; a local store has a folder for each experiment.
        location = f"{store.artifact_root}/{_folder_name(name)}" if store.artifact_root else None
        tags = {"mlflow.experimentKind": "custom_model_development"}
        try:
            return str(client.create_experiment(name, artifact_location=location, tags=tags))
        except MlflowException as error:
            found = client.get_experiment_by_name(name)  # another process was faster
            if found is None:
                raise error
    return str(found.experiment_id)


def _folder_name(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name).lstrip(".") or "experiment"
