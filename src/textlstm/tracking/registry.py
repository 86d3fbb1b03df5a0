"""Models by address: a folder, `models:/textlstm@champion`, `models:/textlstm/3` or `runs:/RUN/model`."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from textlstm.config import TrackingConfig
from textlstm.errors import InputError, StorageError
from textlstm.tracking.delivery import may_pass, one_line
from textlstm.tracking.model_logging import CHAMPION, MODEL_FOLDER_ARTIFACT, registered_name
from textlstm.tracking.store import Store, configure_environment, locate_store, open_client

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

_ADDRESS = re.compile(r"^(models|runs):")
_MODEL_FILE = "manifest.json"
_SHORT_SECONDS = 5.0
"""How long a question that may stay unanswered waits for a server."""


class RegisteredVersion(NamedTuple):
    """One version of a registered model."""

    name: str
    version: str
    run_id: str

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"


def is_registry_address(address: str) -> bool:
    """Return whether `address` names a model in MLflow rather than a folder."""
    return bool(_ADDRESS.match(address))


def resolve_model_dir(address: str, config: TrackingConfig) -> Path:
    """Return the saved-model folder that `address` means; one that lies on a server is fetched into `tracking.dir`.

    Args:
        address: A folder, `models:/NAME@ALIAS`, `models:/NAME/VERSION`, `models:/m-ID` or `runs:/RUN/model`.
        config: Which store.

    Raises:
        InputError: There is no such model.
        StorageError: MLflow does not answer.
    """
    if not is_registry_address(address):
        return Path(address)
    store = locate_store(config)
    client = connect(store, timeout_seconds=config.timeout_seconds)
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        # Every kind of address leads to the id of a logged model.
        model_id = _logged_model_id(client, address)
        # Files of a local store are used where they are; those of a server are fetched once.
        if store.is_local:
            folder = Path(download_artifacts(artifact_uri=f"models:/{model_id}", tracking_uri=store.uri))
        else:
            folder = _fetch(model_id, store)
    except MlflowException as error:
        raise _model_error(address, store, error) from error
    saved_model = _find_saved_model(folder)
    if saved_model is None:
        raise InputError(f"{address}: the model in MLflow holds no folder saved by textlstm")
    return saved_model


def champion_dir(config: TrackingConfig, *, task: str = "") -> Path | None:
    """Return the saved-model folder of the champion of `config.register`; None where there is none.

    With `task`, the `task_key` of a model, it is the champion of that task.

    Raises:
        InputError: The champion's model is gone.
        StorageError: MLflow does not answer.
    """
    store = locate_store(config)
    # Connecting would create the database; without one there is no champion.
    if store.is_local and not Path(store.uri.removeprefix("sqlite:///")).exists():
        return None
    client = connect(store, timeout_seconds=min(_SHORT_SECONDS, config.timeout_seconds))
    name = registered_name(client, config.register, task) if task else config.register
    if champion_of(client, name) is None:
        return None
    return resolve_model_dir(f"models:/{name}@{CHAMPION}", config)


def resolve_run_id(client: "MlflowClient", address: str) -> str:
    """Return the run that made the model at a registry address.

    Raises:
        InputError: There is no such model.
    """
    if match := re.fullmatch(r"runs:/([^/]+)(?:/.*)?", address):
        return match[1]
    return str(client.get_logged_model(_logged_model_id(client, address)).source_run_id)


def _fetch(model_id: str, store: Store) -> Path:
    """Return a copy of a model under `tracking.dir`; it appears there complete or not at all."""
    from mlflow.artifacts import download_artifacts

    folder = store.directory / "models" / model_id
    if folder.is_dir():
        return folder
    # The temporary folder lies beside the final one, so that the rename stays within one file system.
    with TemporaryDirectory(dir=_made(folder.parent)) as directory:
        downloaded = download_artifacts(
            artifact_uri=f"models:/{model_id}", dst_path=f"{directory}/model", tracking_uri=store.uri
        )
        try:
            Path(downloaded).rename(folder)
        except OSError:
            # Another process was faster: a folder that is not empty cannot be renamed over, and holds the same model.
            if not folder.is_dir():
                raise
    return folder


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def connect(store: Store, *, timeout_seconds: float) -> "MlflowClient":
    """Return a client for this process; imports MLflow.

    Raises:
        StorageError: The store cannot be opened or does not answer.
    """
    configure_environment(timeout_seconds=timeout_seconds)
    try:
        client = open_client(store)
        # A small question shows whether the store answers.
        client.search_experiments(max_results=1)
    except StorageError:
        raise
    except Exception as error:  # MLflow's, requests' and SQLAlchemy's have nothing in common
        # With -W error, a warning of some library ends MLflow, and the address is well.
        remedy = "Take -W error or PYTHONWARNINGS away" if isinstance(error, Warning) else "Check tracking.uri"
        raise StorageError(f"MLflow at {store.public_uri}: {one_line(error)}. {remedy}.") from error
    return client


def get_version(client: "MlflowClient", name: str, *, alias_or_version: str) -> RegisteredVersion:
    """Return one version of `name` by its alias or number.

    Raises:
        InputError: There is none.
    """
    found = _model_version(client, name, alias_or_version=alias_or_version)
    return RegisteredVersion(name, str(found.version), str(found.run_id))


def champion_of(client: "MlflowClient", name: str) -> RegisteredVersion | None:
    """Return the version of `name` with the alias `champion`; None where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_model_version_by_alias(name, CHAMPION)
    except MlflowException:
        return None
    return RegisteredVersion(name, str(found.version), str(found.run_id))


def _logged_model_id(client: "MlflowClient", address: str) -> str:
    if match := re.fullmatch(r"models:/(m-[0-9a-f]{32})", address):
        return match[1]
    if match := re.fullmatch(r"runs:/([^/]+)(?:/.*)?", address):
        outputs = client.get_run(match[1]).outputs
        models = outputs.model_outputs if outputs else []
        if not models:
            raise InputError(f"{address}: the run logged no model")
        # Of several models of one run the last one counts.
        return str(models[-1].model_id)
    match = re.fullmatch(r"models:/([^/@]+)(?:@([\w-]+)|/(\d+|latest))", address)
    if not match:
        raise InputError(f"{address}: expected models:/NAME@ALIAS, models:/NAME/VERSION or runs:/RUN/model")
    found = _model_version(client, match[1], alias_or_version=match[2] or match[3])
    # Where a version does not name its logged model, the address of its source does.
    return str(found.model_id or _id_in(found.source))


def _id_in(source: str) -> str:
    match = re.search(r"m-[0-9a-f]{32}", source)
    if not match:
        raise InputError(f"{source}: this version was not registered by textlstm")
    return match[0]


def _model_version(client: "MlflowClient", name: str, *, alias_or_version: str) -> "ModelVersion":
    from mlflow.exceptions import MlflowException

    try:
        if alias_or_version == "latest":
            versions = client.search_model_versions(f"name = '{name}'")
            # Compared as numbers, since as text 9 comes after 10. No version at all is a ValueError, handled below.
            return max(versions, key=lambda version: int(version.version))
        if alias_or_version.isdigit():
            return client.get_model_version(name, alias_or_version)
        return client.get_model_version_by_alias(name, alias_or_version)
    except (MlflowException, ValueError) as error:
        raise InputError(
            f"models:/{name}: no version {alias_or_version!r} in the registry. "
            f"`textlstm train` registers versions; the first one becomes {CHAMPION!r}."
        ) from error


def _find_saved_model(folder: Path) -> Path | None:
    root = folder / "artifacts"
    if not root.is_dir():
        return None
    # First the name under which `train` logs the folder, then any folder with a saved model.
    named = root / MODEL_FOLDER_ARTIFACT
    candidates = [named, *sorted(root.iterdir())]
    return next((path for path in candidates if (path / _MODEL_FILE).is_file()), None)


def _model_error(address: str, store: Store, error: Exception) -> InputError | StorageError:
    where = f"MLflow at {store.public_uri}"
    if may_pass(error):
        return StorageError(f"{address}: {where}: {one_line(error)}")
    return InputError(f"{address}: not found in {where}: {one_line(error)}")
