"""`textlstm merge REVIEWED train=FILE output=NEW`: put reviewed rows into a training file."""

from textlstm.config import MergeConfig
from textlstm.errors import ConfigError
from textlstm.labelling.corrections.merge import merge_reviewed
from textlstm.stages.screen import say


def merge(config: MergeConfig) -> None:
    """Write the new training file, and say what became of the reviewed rows.

    Raises:
        ConfigError: A file is not named.
    """
    missing = [name for name in ("reviewed", "train", "output") if not getattr(config, name)]
    if missing:
        raise ConfigError(*(f"{name}: not set; see textlstm merge --help" for name in missing))
    say(*merge_reviewed(config).lines())
