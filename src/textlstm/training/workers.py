"""Helper processes on the cores of one machine: two of one thread each train faster than one of two threads."""

import copy
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed

from textlstm.config import TrainingConfig
from textlstm.errors import Interrupted, TextLSTMError
from textlstm.processes.child import die_with_parent
from textlstm.processes.devices import num_cores
from textlstm.processes.distributed import Processes, joined, under_torchrun
from textlstm.training.job import TrainingJob

_FEWEST_ROWS = 16
"""A process should have this many rows of a batch, or its matrix products are too small to be fast."""
_FEWEST_TOKENS = 3_000_000
"""Less training than this is done before a helper process has started."""
_TIMEOUT = timedelta(minutes=30)

Train = Callable[[TrainingJob], object]


def num_processes(config: TrainingConfig, *, num_tokens: int, is_cpu: bool) -> int:
    """Return how many processes share each batch of a training that sees `num_tokens` tokens an epoch."""
    # A GPU shares no batch between processes here, and a deterministic training adds up in one order.
    if not is_cpu or config.deterministic:
        return 1
    if config.num_workers:
        return config.num_workers
    # A daemon must not have children; a short training is over before they have started.
    if multiprocessing.current_process().daemon or config.epochs * num_tokens < _FEWEST_TOKENS:
        return 1
    threads = config.num_threads or num_cores()
    return max(1, min(threads, config.batch_size // _FEWEST_ROWS))


@contextmanager
def training_processes(job: TrainingJob, device: torch.device, *, train: Train) -> Iterator[Processes]:
    """Give the block its place among the processes that train `job` together: `torchrun`'s, helpers', or alone.

    Args:
        job: the same in all processes.
        device: where this process computes.
        train: the function that a helper process runs on the job; there it joins the same processes by this function.

    Raises:
        TextLSTMError: a helper died.
    """
    if under_torchrun():
        with joined(device) as processes:
            yield processes
        return
    size = num_processes(job.config, num_tokens=len(job.train.token_ids), is_cpu=device.type == "cpu")
    with _helpers(job, size=size, train=train) as processes:
        yield processes


@contextmanager
def _helpers(job: TrainingJob, *, size: int, train: Train) -> Iterator[Processes]:
    """Start `size` - 1 processes that run `train(job)`; give the first one's place to the block.

    Raises:
        TextLSTMError: a helper died.
    """
    if size == 1:
        yield Processes()
        return
    context = multiprocessing.get_context("spawn")
    # Weights are sent when all have joined: pickled tensors would need shared memory, which containers have little of.
    empty = replace(job, network=copy.deepcopy(job.network).to("meta"))
    # The helpers find each other by a file in a folder that goes with this block.
    with tempfile.TemporaryDirectory(prefix="textlstm-") as folder:
        address = f"file://{Path(folder) / 'group'}"
        helpers = [
            context.Process(target=_help, args=(empty, train, Processes(rank, size), address), name=f"trainer-{rank}")
            for rank in range(1, size)
        ]
        for helper in helpers:
            helper.start()
        # This blocks until all have joined. A helper that dies breaks the next sum with a RuntimeError.
        try:
            _join(Processes(0, size), address)
            yield Processes(0, size)
        except RuntimeError as error:
            dead = [helper for helper in helpers if helper.exitcode]
            if not dead:
                raise
            raise TextLSTMError(
                f"training process {dead[0].name} ended with exit code {dead[0].exitcode}; "
                "the same command continues from the last checkpoint; training.num_workers=1 needs less memory"
            ) from error
        finally:
            if distributed.is_initialized():
                distributed.destroy_process_group()
            # A helper ends with its last epoch; one that still runs waits in a sum for this process.
            for helper in helpers:
                helper.join(1)
                helper.kill()
                helper.join()


def _join(processes: Processes, address: str) -> None:
    distributed.init_process_group(
        "gloo", init_method=address, rank=processes.rank, world_size=processes.size, timeout=_TIMEOUT
    )


def _help(job: TrainingJob, train: Train, processes: Processes, address: str) -> None:
    """Run in a helper: the first process decides when to stop, and its end is the helper's."""
    # A terminal sends Ctrl-C to all processes; only the first listens, and tells the others in the next sum.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    die_with_parent()
    _join(processes, address)
    # Any weights: those of the first process replace them before the first step.
    job.network.to_empty(device="cpu")
    try:
        train(job)
    except Interrupted:  # the first process was asked to stop, and says so
        pass
    except TextLSTMError:  # as a rule the first process meets the same and reports it
        os._exit(1)
    distributed.destroy_process_group()
