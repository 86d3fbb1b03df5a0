"""Where and how torch computes during a training: device, threads, determinism; all put back afterwards."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from textlstm.config import TrainingConfig
from textlstm.models.network.parallel import two_threads
from textlstm.models.network.precision import NumberFormat, resolve_precision, tf32_set_to
from textlstm.processes.devices import num_cores

_ROWS_A_THREAD = 32
"""With fewer rows of a batch a thread, threads at one operation wait for each other longer than they compute (measured
with `benchmarks/parallel_directions.py`, as is the next number)."""
_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""Without a fixed workspace cuBLAS is not deterministic, and torch refuses to call it."""
_TOKENS_A_THREAD = 375
"""With fewer tokens of a batch a thread, threads wait for Python's lock and each other longer than they compute."""


def num_threads_of(config: TrainingConfig, *, parallel_tokens: float = 0) -> int:
    """Return how many CPU threads a training has in all its processes; `parallel_tokens` as in `compute_settings`."""
    if config.deterministic:
        return 1
    most = max(1, config.batch_size // _ROWS_A_THREAD)
    if _are_enough(parallel_tokens):
        most *= 2
    return config.num_threads or min(num_cores(), most)


@contextmanager
def compute_settings(
    config: TrainingConfig, device: torch.device, *, num_processes: int = 1, parallel_tokens: float = 0
) -> Iterator[None]:
    """Set threads, determinism and TF32 for the block; the processes of a machine share its threads.

    Args:
        config: the settings.
        device: where the training computes.
        num_processes: processes that train together.
        parallel_tokens: tokens of an average batch if the network trains in `two_threads` on a CPU, else 0.
    """
    number_format = number_format_of(config, device)
    # All of torch's state that is changed below, and the random state, which each batch seeds anew.
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    state = torch.random.get_rng_state()
    gpu_states = torch.cuda.get_rng_state_all() if device.type == "cuda" else []
    workspace = os.environ.get(_WORKSPACE)
    num_processes = int(os.environ.get("LOCAL_WORLD_SIZE", num_processes))  # what torchrun says counts
    if device.type != "cpu":
        parallel_tokens = 0
    torch.set_num_threads(max(1, num_threads_of(config, parallel_tokens=parallel_tokens) // num_processes))
    if config.deterministic:
        os.environ.setdefault(_WORKSPACE, ":4096:8")
        torch.use_deterministic_algorithms(True)
    try:
        parallel = two_threads() if _are_enough(parallel_tokens) else nullcontext()
        with tf32_set_to(number_format is NumberFormat.tf32), parallel:
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        torch.random.set_rng_state(state)
        if gpu_states:
            torch.cuda.set_rng_state_all(gpu_states)
        if workspace is None:
            os.environ.pop(_WORKSPACE, None)


def _are_enough(parallel_tokens: float) -> bool:
    return parallel_tokens >= 2 * _TOKENS_A_THREAD


def number_format_of(config: TrainingConfig, device: torch.device) -> NumberFormat:
    """Return the number format of matrix products: deterministic training uses fp32.

    Raises:
        ConfigError: bf16 or tf32 is asked for and `device` has no kernels for it.
    """
    return NumberFormat.fp32 if config.deterministic else resolve_precision(config.precision, device)
