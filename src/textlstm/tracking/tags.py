"""The MLflow tags of a run: who started it with which stage and data, and those that the settings give."""

import getpass
import os

from textlstm.config import TrackingConfig
from textlstm.errors import ConfigError


def own_tags(stage: str) -> dict[str, str]:
    """Return who runs which stage, as MLflow's pages expect it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a user id that has no name.
        user = str(os.getuid())
    return {
        "mlflow.user": user,
        "mlflow.source.name": f"textlstm {stage}",
        "mlflow.source.type": "LOCAL",
        "textlstm.stage": stage,
    }


def config_tags(config: TrackingConfig) -> dict[str, str]:
    """Return `tracking.tags` as a mapping.

    Raises:
        ConfigError: Some are not KEY:VALUE.
    """
    pairs = [tag.partition(":") for tag in config.tags]
    problems = [f"tracking.tags: {key!r} is not KEY:VALUE" for key, colon, _ in pairs if not colon or not key.strip()]
    if problems:
        raise ConfigError(*problems)
    return {key.strip(): value.strip() for key, _, value in pairs}
