"""Settings given as Python keywords -> the same checked config that the command makes from KEY=VALUE."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from textlstm.cli.settings import GROUPS, compose_config, setting_types
from textlstm.config import TrainConfig
from textlstm.errors import ConfigError

FROM_ARGUMENTS = (
    *("source", "train", "validation", "test", "name", "config", "format", "encoding"),
    *("text_column", "label_column", "labels_column", "label_separator", "id_column", "weight_column"),
    *("probabilities_column", "unlabelled"),
)
"""Settings of `data` that say where rows are; here they are arguments."""
_LOCK = threading.Lock()
"""Hydra composes one config at a time."""


def train_config(settings: Mapping[str, object]) -> TrainConfig:
    """Return the config of stage train with `settings` applied; tracking is off unless a setting of it is given.

    Args:
        settings: by full key (`training.epochs`), by the last part of the key where it is the only such key (`epochs`),
            or a group's named choice (`training="deterministic"`).

    Raises:
        ConfigError: all that is wrong with the settings.
    """
    keys = {full_key(name): value for name, value in settings.items() if value is not None}
    # Rows come as files of the working folder, and nothing is sent to MLflow unless a setting asks for it.
    overrides = ["data=files"]
    if not any(key.partition(".")[0] == "tracking" for key in keys):
        overrides.append("tracking=off")
    overrides += [f"{key}={typed(value)}" for key, value in keys.items()]
    with _LOCK:
        config: TrainConfig = compose_config("train", TrainConfig, overrides)
    return config


def full_key(name: str) -> str:
    """Return the full key of a setting; a name that several keys end with, or none, stays as it is.

    >>> full_key("epochs"), full_key("training.epochs"), full_key("training")
    ('training.epochs', 'training.epochs', 'training')

    Raises:
        ConfigError: it says where rows are, and the rows are given.
    """
    # A name is completed where exactly one key ends with it; the other names are for the checks of the command.
    known = setting_types(TrainConfig)
    found = [key for key in known if key.rpartition(".")[2] == name]
    key = name if name in known or name in GROUPS or len(found) != 1 else found[0]
    if key in ("data", "experiment") or key in [f"data.{entry}" for entry in FROM_ARGUMENTS]:
        raise ConfigError(
            f"{name}: the rows are given as texts and labels; only the command line reads them from files"
        )
    return key


def typed(value: object) -> str:
    """Return a Python value as it would be typed behind KEY=.

    >>> typed(True), typed(["a, b", "c"]), typed(0.1)
    ('true', "['a, b','c']", '0.1')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | Path):
        text = str(value)
        quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
        return f'"{text}"' if quoted else text  # one pair of quotes is taken off again
    if isinstance(value, Sequence):
        return f"[{','.join(_quoted(str(item)) for item in value)}]"
    if hasattr(value, "item"):
        return typed(value.item())
    return str(value)


def _quoted(item: str) -> str:
    quote = '"' if "'" in item else "'"
    return f"{quote}{item}{quote}"
