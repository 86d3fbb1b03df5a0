"""The number format that networks compute in: fp32, or bf16 where the machine has kernels for it."""

from functools import cache

import torch
from torch import Tensor, nn

from textlstm.config import Precision, TrainingPrecision
from textlstm.errors import ConfigError


def resolve_precision(wanted: TrainingPrecision, device: torch.device) -> Precision:
    """Return the format to compute in: `auto` is bf16 where `device` has recurrent kernels for it, else fp32.

    Raises:
        ConfigError: bf16 is asked for and `device` cannot.
    """
    if wanted is TrainingPrecision.auto:
        return Precision.bf16 if has_bf16_kernels(device.type) else Precision.fp32
    precision = Precision(wanted.value)
    check_precision("training.precision", precision, device)
    return precision


def check_precision(key: str, precision: Precision, device: torch.device) -> None:
    """Refuse bf16 on a device without recurrent kernels for it.

    Raises:
        ConfigError: with `key`, the setting to change.
    """
    if precision is Precision.bf16 and not has_bf16_kernels(device.type):
        raise ConfigError(
            f"{key}=bf16: this {device.type} has no bf16 kernels for LSTMs (on a CPU they need AVX-512); set {key}=fp32"
        )


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Return the context that runs matrix products in `precision`."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision is Precision.bf16)


def as_computed(inputs: Tensor) -> Tensor:
    """Return `inputs` in the format of autocast, if it is on, so that copies of them are half as large."""
    device_type = inputs.device.type
    return inputs.to(torch.get_autocast_dtype(device_type)) if torch.is_autocast_enabled(device_type) else inputs


@cache
def has_bf16_kernels(device_type: str) -> bool:
    """Return whether an LSTM runs in bf16 on a device of this type; on a CPU, by running a small one.

    oneDNN has bf16 recurrent kernels for AVX-512 and newer only, and torch raises RuntimeError elsewhere.
    """
    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    cell = nn.LSTM(8, 8, batch_first=True)
    try:
        with torch.inference_mode(), torch.autocast(device_type, dtype=torch.bfloat16):
            cell(torch.zeros(2, 3, 8))
    except RuntimeError:
        return False
    return True
