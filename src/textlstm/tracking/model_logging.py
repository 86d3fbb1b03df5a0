"""Logs a saved-model folder to MLflow as a pyfunc made from code, and registers it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from textlstm.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

CHAMPION = "champion"


class LoggedModel(NamedTuple):
    """What the registry made of a model."""

    version: str
    is_champion: bool


def log_model_version(
    client: "MlflowClient", store: Store, *, run_id: str, bundle_dir: Path, event_key: str, details: dict[str, Any]
) -> LoggedModel:
    """Log and register `bundle_dir`; a second call with the same `event_key` changes nothing."""
    raise NotImplementedError
