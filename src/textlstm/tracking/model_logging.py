"""Logs a saved-model folder to MLflow as a pyfunc made from code, and registers it.

No pickle: MLflow stores the few lines of `pyfunc_code.py` and the folder itself as artefacts.
"""

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from textlstm.config import TrackingConfig
from textlstm.model_folder import CARD_FILE

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import Model, ModelSignature
    from mlflow.tracking import MlflowClient

MODEL_FOLDER_ARTIFACT = "bundle"
INPUT_COLUMN = "text"
UNNAMED_COLUMN: Any = 0
"""Name that MLflow gives to the column of a list of strings or of a series without a name."""
OUTPUT_COLUMNS = {"label": "string", "probability": "double", "decision": "string"}
CHAMPION = "champion"
EVENT_TAG = "textlstm.event"
TASK_TAG = "textlstm.task"
DEFAULT_NAME = TrackingConfig().register
_MODEL_NAME = "model"
_EXAMPLE_TEXT = "The match was decided in the last minute."
_REQUIRED = ("mlflow", "torch", "spacy", "numpy", "safetensors", "scikit-learn")


class RegisteredModel(NamedTuple):
    """A logged model as the registry knows it."""

    version: str
    """Version number; empty where the model was logged but not registered."""
    is_champion: bool
    name: str = ""
    """Name of the registered model."""


def task_key(labels: Sequence[str], task: str, data_source: str) -> str:
    """Return 12 hex digits that are equal for models of one task: the same data and the same labels."""
    content = json.dumps([data_source, task, sorted(labels)], ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def registered_name(client: "MlflowClient", name: str, key: str) -> str:
    """Return the name under which a model of the task `key` is registered where `tracking.register` is `name`.

    A name that a person chose is taken as it is. The default name belongs to the first task that is registered under
    it; a model of another task gets a name of its own, so that models that cannot be compared are no versions of one.
    """
    from mlflow.exceptions import MlflowException

    if name != DEFAULT_NAME:
        return name
    try:
        # A registered model without the tag counts as one of this task.
        owner = client.get_registered_model(name).tags.get(TASK_TAG, key)
    except MlflowException:
        # Nothing is registered under the default name, so it is free.
        return name
    return name if owner == key else f"{name}-{key}"


def log_model_version(
    client: "MlflowClient", *, run_id: str, saved_model_dir: Path, event_key: str, details: dict[str, Any]
) -> RegisteredModel:
    """Log and register `saved_model_dir`; a second call with the same `event_key` makes no second version.

    Args:
        client: The store.
        run_id: Run that made the model.
        saved_model_dir: The saved-model folder.
        event_key: Name of this logging, unique; a tag of what it makes.
        details: `name` in the registry (empty: only log it) and `tags`.
    """
    run = client.get_run(run_id)
    tags = {str(key): str(value) for key, value in details["tags"].items()}
    tags[EVENT_TAG] = event_key
    # A kill may have come after each of these steps: look for what an earlier attempt made before making it.
    logged = _find_logged(client, run.info.experiment_id, event_key)
    if logged is None:
        logged = client.create_logged_model(run.info.experiment_id, _MODEL_NAME, source_run_id=run_id, tags=tags)
        _upload(client, logged, saved_model_dir=saved_model_dir, run_id=run_id)
    if not details["name"]:
        return RegisteredModel("", is_champion=False)
    # Register it, under a name of its own where the default name belongs to another task.
    key = _task_of(saved_model_dir)
    name = registered_name(client, details["name"], key)
    made = _find_version(client, name, event_key) or _register(client, name, logged=logged, run_id=run_id, tags=tags)
    # The model's own card is what its page in the registry says; a second attempt writes the same.
    client.update_model_version(name, str(made.version), description=_card_of(saved_model_dir))
    # The tag makes this task the owner of the name.
    client.set_registered_model_tag(name, TASK_TAG, key)
    return RegisteredModel(str(made.version), _ensure_champion(client, name, str(made.version)), name)


_MOST_DESCRIBED = 5000


def _card_of(saved_model_dir: Path) -> str:
    try:
        return (saved_model_dir / CARD_FILE).read_text(encoding="utf-8")[:_MOST_DESCRIBED]
    except (OSError, ValueError):
        return ""


def _task_of(saved_model_dir: Path) -> str:
    """Return the key of the task of a saved model; what a folder does not say counts as empty."""
    config, manifest = (_json_of(saved_model_dir / name) for name in ("config.json", "manifest.json"))
    data_source = manifest.get("provenance", {}).get("data_source", "")
    return task_key(config.get("labels", ()), config.get("task", ""), str(data_source))


def _json_of(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content


def _find_logged(client: "MlflowClient", experiment: str, event_key: str) -> "LoggedModel | None":
    found = client.search_logged_models([experiment], filter_string=f"tags.`{EVENT_TAG}` = '{event_key}'")
    # A model that is not READY is left over from an upload that broke off; it is logged again.
    return next((model for model in found if str(model.status) == "READY"), None)


def _upload(client: "MlflowClient", logged: "LoggedModel", *, saved_model_dir: Path, run_id: str) -> None:
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus
    from mlflow.models import Model

    description = Model(
        artifact_path=logged.artifact_location, model_uuid=logged.model_id, model_id=logged.model_id, run_id=run_id
    )
    with TemporaryDirectory() as directory:
        folder = Path(directory) / "model"
        save_pyfunc(saved_model_dir, folder, description=description)
        client.log_model_artifacts(logged.model_id, str(folder))
    # READY only now that all files are there: `_find_logged` relies on it.
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])


def save_pyfunc(saved_model_dir: Path, folder: Path, *, description: "Model | None" = None) -> None:
    """Write `saved_model_dir` as an MLflow pyfunc model into the new `folder`."""
    import mlflow.pyfunc
    import pandas as pd

    mlflow.pyfunc.save_model(
        path=str(folder),
        mlflow_model=description,
        # A path and no object: MLflow stores the file itself and pickles nothing.
        python_model=str(Path(__file__).with_name("pyfunc_code.py")),
        artifacts={MODEL_FOLDER_ARTIFACT: str(saved_model_dir)},
        signature=signature(),
        input_example=pd.DataFrame({INPUT_COLUMN: [_EXAMPLE_TEXT]}),
        pip_requirements=_requirements(),
        metadata={"textlstm": _model_facts(saved_model_dir)},
    )


def signature() -> "ModelSignature":
    """Return what goes in (a column of texts, named or not) and what comes out (label, probability, decision)."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    return ModelSignature(
        # Texts come in one of the two columns, so neither is required.
        inputs=Schema(
            [ColSpec(DataType.string, name, required=False) for name in (UNNAMED_COLUMN, INPUT_COLUMN)],
        ),
        params=ParamSchema(
            [
                ParamSpec("top_k", DataType.long, 0),
                ParamSpec("probabilities", DataType.boolean, False),
            ]
        ),
        outputs=Schema([ColSpec(DataType[kind], name) for name, kind in OUTPUT_COLUMNS.items()]),
    )


def _find_version(client: "MlflowClient", name: str, event_key: str) -> "ModelVersion | None":
    found = client.search_model_versions(f"name = '{name}' AND tags.`{EVENT_TAG}` = '{event_key}'")
    return found[0] if found else None


def _register(
    client: "MlflowClient", name: str, *, logged: "LoggedModel", run_id: str, tags: dict[str, str]
) -> "ModelVersion":
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        # An earlier version has made the name; any other error is real.
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return client.create_model_version(
        name, source=f"models:/{logged.model_id}", run_id=run_id, tags=tags, model_id=logged.model_id
    )


def _ensure_champion(client: "MlflowClient", name: str, new_version: str) -> bool:
    """Make the first version the champion; later ones have to win it (`promote`)."""
    champion = client.get_registered_model(name).aliases.get(CHAMPION)
    if champion is None:
        client.set_registered_model_alias(name, CHAMPION, new_version)
        return True
    return str(champion) == new_version


def _requirements() -> list[str]:
    pinned = []
    for name in ("textlstm", *_REQUIRED):
        try:
            pinned.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            continue
    return pinned


def _model_facts(saved_model_dir: Path) -> dict[str, object]:
    try:
        config = json.loads((saved_model_dir / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: config[key] for key in ("format_version", "task") if key in config}
