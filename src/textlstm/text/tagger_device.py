"""Where the fast tagger runs."""

from dataclasses import replace

from textlstm.config import Device, Tagger, TextConfig
from textlstm.errors import ConfigError


def may_use_gpu(config: TextConfig) -> bool:
    """Say whether `config` lets the fast tagger run on a GPU, told without torch."""
    return config.pos and not config.lemmas and config.tagger is not Tagger.spacy and config.tagger_device != Device.cpu


def tagger_device(config: TextConfig) -> str:
    """Return `cpu` or `cuda`; torch is loaded only where a GPU may be used.

    Raises:
        ConfigError: a GPU is asked for and torch sees none.
    """
    if not may_use_gpu(config):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if config.tagger_device is Device.cuda:
        raise ConfigError(
            f"text.tagger_device=cuda: torch {torch.__version__} sees no GPU here; set text.tagger_device=auto or cpu"
        )
    return "cpu"


def settle_device(config: TextConfig) -> TextConfig:
    """Return `config` with the device that `tagger_device` finds, so that nobody need ask, or load torch to ask, again.

    Raises:
        ConfigError: as `tagger_device`.
    """
    return replace(config, tagger_device=Device(tagger_device(config)))
