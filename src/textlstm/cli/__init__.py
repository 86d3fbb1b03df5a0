"""The command `textlstm STAGE [settings]`: the one owner of Hydra."""

from textlstm.cli.main import main

__all__ = ["main"]
