"""The number of processors, and the choice of the device: CPU or GPU. torch is loaded only where a GPU may be used."""

import os
from typing import TYPE_CHECKING

from textlstm.config import Device
from textlstm.errors import ConfigError

if TYPE_CHECKING:
    import torch


def num_cores() -> int:
    """Return the number of cores that this process may use; the machine may have more."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_device(device: Device, *, key: str) -> "torch.device":
    """Return the torch device: `auto` is the GPU where there is one; under `torchrun` each process has its own.

    Args:
        device: the device that is asked for.
        key: the setting that says so, for the message.

    Raises:
        ConfigError: a GPU is asked for and torch sees none.
    """
    import torch

    available = device is not Device.cpu and torch.cuda.is_available()
    if device is Device.cuda and not available:
        raise ConfigError(f"{key}=cuda: torch {torch.__version__} sees no GPU here; set {key}=auto or cpu")
    if not available:
        return torch.device("cpu")
    # Processes on one machine take its GPUs in turn.
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % max(torch.cuda.device_count(), 1))


def refuse_missing_gpu(**devices: Device) -> None:
    """Refuse a GPU that is asked for and missing before any work is done.

    Args:
        devices: the setting's value by its key, two underscores for the dot: `training__device=config.training.device`.

    Raises:
        ConfigError: torch sees no GPU.
    """
    for key, device in devices.items():
        if device is Device.cuda:
            choose_device(device, key=key.replace("__", "."))
