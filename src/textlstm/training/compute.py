"""Where and how torch computes during a training: device, threads, determinism; all put back afterwards."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from textlstm.config import Device, Precision, TrainingConfig
from textlstm.errors import ConfigError
from textlstm.models.precision import resolve_precision

_ROWS_A_THREAD = 32
"""Fewer rows of a batch a thread, and threads wait for each other longer than they compute."""


def num_threads_of(config: TrainingConfig) -> int:
    """Return how many CPU threads a training has in all its processes."""
    if config.deterministic:
        return 1
    return config.num_threads or max(1, min(len(os.sched_getaffinity(0)), config.batch_size // _ROWS_A_THREAD))


@contextmanager
def compute_settings(config: TrainingConfig, *, num_processes: int = 1) -> Iterator[torch.device]:
    """Set threads and determinism for the block and give its device; the processes of a machine share its threads.

    Raises:
        ConfigError: a GPU is asked for and torch sees none.
    """
    device = choose_device(config.device)
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    state = torch.random.get_rng_state()
    num_processes = int(os.environ.get("LOCAL_WORLD_SIZE", num_processes))  # what torchrun says counts
    torch.set_num_threads(max(1, num_threads_of(config) // num_processes))
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    try:
        yield device
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        torch.random.set_rng_state(state)


def choose_device(device: Device) -> torch.device:
    """Return the torch device; under `torchrun` each process of a machine gets its own GPU.

    Raises:
        ConfigError: a GPU is asked for and torch sees none.
    """
    available = torch.cuda.is_available()
    if device is Device.cuda and not available:
        raise ConfigError(
            f"training.device=cuda: torch {torch.__version__} sees no GPU here; set training.device=auto or cpu"
        )
    if device is Device.cpu or not available:
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


def precision_of(config: TrainingConfig, device: torch.device) -> Precision:
    """Return the number format of matrix products: deterministic training uses fp32.

    Raises:
        ConfigError: bf16 is asked for and `device` has no kernels for it.
    """
    return Precision.fp32 if config.deterministic else resolve_precision(config.precision, device)
