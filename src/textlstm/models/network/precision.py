"""The number format that networks compute in: fp32, or bf16 where the machine has kernels for it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import StrEnum
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from textlstm.config import Precision, TrainingPrecision
from textlstm.errors import ConfigError


class NumberFormat(StrEnum):
    """What matrix products are computed in; weights and sums are float32 in each."""

    fp32 = "fp32"
    tf32 = "tf32"
    """float32 whose factors are rounded to 10 bits of mantissa, on GPUs with tensor cores."""
    bf16 = "bf16"
    """Autocast to bfloat16."""


def resolve_precision(wanted: TrainingPrecision, device: torch.device) -> NumberFormat:
    """Return the format to compute in: `auto` is bf16 where `device` has recurrent kernels for it, else fp32.

    Raises:
        ConfigError: bf16 or tf32 is asked for and `device` cannot.
    """
    if wanted is TrainingPrecision.auto:
        return NumberFormat.bf16 if has_bf16_kernels(device.type) else NumberFormat.fp32
    if wanted is TrainingPrecision.tf32:
        check_tf32(device)
        return NumberFormat.tf32
    precision = Precision(wanted.value)
    check_precision("training.precision", precision, device)
    return NumberFormat(precision.value)


def check_tf32(device: torch.device) -> None:
    """Refuse TF32 on a device without it.

    Raises:
        ConfigError: `device` is a CPU, or a GPU older than Ampere.
    """
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < (8, 0):
        raise ConfigError(
            f"training.precision=tf32: this {device.type} has no TF32 (GPUs have it from Ampere on); "
            "set training.precision=auto"
        )


@contextmanager
def computing_in(number_format: NumberFormat, device: torch.device) -> Iterator[None]:
    """Compute matrix products in this format inside the block: with autocast, and with TF32 on for `tf32` alone.

    cuDNN's recurrent layers round to TF32 unless they are told not to; on a trained model that moves logits by 2e-4.
    """
    is_bf16 = number_format is NumberFormat.bf16
    with (
        tf32_set_to(number_format is NumberFormat.tf32),
        torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_bf16),
    ):
        yield


@contextmanager
def tf32_set_to(is_on: bool) -> Iterator[None]:
    """Let GPUs round float32 products to TF32 inside the block, or not; afterwards as before.

    It is a setting of the process. As a decorator, `@tf32_set_to(False)` makes a function exact whose
    results hold in fp32 only.
    """
    backends: Any = torch.backends  # torch's stubs do not know these places
    places = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn)
    before = [place.fp32_precision for place in places]
    try:
        for place in places:
            place.fp32_precision = "tf32" if is_on else "ieee"
        yield
    finally:
        for place, setting in zip(places, before, strict=True):
            place.fp32_precision = setting


def check_precision(key: str, precision: Precision, device: torch.device) -> None:
    """Refuse bf16 on a device without recurrent kernels for it.

    Raises:
        ConfigError: with `key`, the setting to change.
    """
    if precision is Precision.bf16 and not has_bf16_kernels(device.type):
        raise ConfigError(
            f"{key}=bf16: this {device.type} has no bf16 kernels for LSTMs (on a CPU they need AVX-512); set {key}=fp32"
        )


def without_autocast(tensor: Tensor) -> AbstractContextManager[None]:
    """Return a context in which a GPU computes in the format of the tensors given; nothing changes on a CPU.

    Autocast casts each weight at each use, with a kernel a cast.
    """
    return torch.autocast("cuda", enabled=False) if tensor.is_cuda else nullcontext()


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
