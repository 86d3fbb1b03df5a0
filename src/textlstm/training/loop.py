"""The training loop: `fit`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from textlstm.config import Task, TrainingConfig
from textlstm.errors import Interrupted
from textlstm.models.network.inputs import EncodedSplit
from textlstm.models.network.network import TextNetwork
from textlstm.processes.distributed import Processes, joined, under_torchrun
from textlstm.training.checkpoints import CheckpointStore
from textlstm.training.compute import choose_device, compute_settings
from textlstm.training.job import EpochReport, FitResult, TrainingJob
from textlstm.training.trainer import TrainingRun
from textlstm.training.workers import group, num_processes


def fit(
    network: TextNetwork,
    train: EncodedSplit,
    validation: EncodedSplit,
    *,
    config: TrainingConfig,
    task: Task,
    seed: int,
    freeze_epochs: int = 0,
    checkpoint_dir: Path | None = None,
    run_key: str = "",
    num_epochs: int = 0,
    on_epoch: Callable[[EpochReport], None] | None = None,
    stop: Callable[[], int] | None = None,
) -> FitResult:
    """Train `network` and return its weights at the epoch with the best validation macro-F1.

    Without validation rows they are those after the last epoch.

    Everything random is a function of `seed`, the epoch and the batch, so a training that was interrupted and one
    that was not end with the same weights. Under `torchrun` all processes call this and train one network; the
    first one calls `on_epoch` and writes checkpoints.

    Args:
        network: fresh weights; trained in place (it ends with the best weights).
        train: training rows.
        validation: rows that decide which epoch is the best and when to stop.
        config: the settings.
        task: one label a row or several.
        seed: seed of batches and dropout.
        freeze_epochs: epochs in which the word vectors stay fixed; -1 means all.
        checkpoint_dir: folder of checkpoints; a training found there is continued. None: no checkpoints.
        run_key: whatever else must be equal for a training to be continued (the model's settings, say).
        num_epochs: end after so many of `config.epochs`, whose learning rates stay as they are; 0 means all.
        on_epoch: called after each epoch; after a kill the last epoch may be reported again.
        stop: asked after each step; not 0 is the number of the signal that asks for a clean stop.

    Raises:
        Interrupted: `stop` asked for it; the state was saved first.
        ConfigError: no GPU, no memory, a diverging loss, or checkpoints of another training.
        IntegrityError: every checkpoint found is damaged.
        StorageError: a checkpoint cannot be written.
        TextLSTMError: a helper process died.
    """
    job = TrainingJob(network, train, validation, config, task, seed, freeze_epochs, run_key, num_epochs)
    calls = _Calls(checkpoint_dir, on_epoch, stop)
    device = choose_device(config.device)
    if under_torchrun():
        with joined(device) as processes:
            return _train(job, processes, calls)
    size = num_processes(config, num_tokens=len(train.token_ids), is_cpu=device.type == "cpu")
    with group(job, size=size, train=_help_train) as processes:
        return _train(job, processes, calls)


@dataclass(frozen=True, slots=True)
class _Calls:
    """What only the process that was asked to `fit` has."""

    checkpoint_dir: Path | None = None
    on_epoch: Callable[[EpochReport], None] | None = None
    stop: Callable[[], int] | None = None


def _help_train(job: TrainingJob, processes: Processes) -> None:
    _train(job, processes, _Calls())


def _train(job: TrainingJob, processes: Processes, calls: _Calls) -> FitResult:
    """Train in one of the processes: epochs of steps, each followed by a look at the clock and at the signals."""
    settings = compute_settings(job.config, num_processes=processes.size, parallel_tokens=job.parallel_tokens)
    with settings as device:
        store = None
        if calls.checkpoint_dir and processes.is_first:
            store = CheckpointStore(calls.checkpoint_dir, fingerprint=job.fingerprint())
        run = TrainingRun(job, processes, device=device, store=store)
        while not run.finished:
            run.begin_epoch()
            while not run.epoch_done:
                signal_number = run.step(asked_to_stop=calls.stop() if calls.stop else 0)
                _save_and_stop(run, signal_number)
                run.save_if_due()
            report = run.end_epoch(
                between_batches=partial(_look_at_signals, run, calls) if processes.is_first else None
            )
            if calls.on_epoch and processes.is_first:
                calls.on_epoch(report)
            run.save()
        return run.result()


def _look_at_signals(run: TrainingRun, calls: _Calls) -> None:
    _save_and_stop(run, calls.stop() if calls.stop else 0)


def _save_and_stop(run: TrainingRun, signal_number: int) -> None:
    """Write a checkpoint and raise, unless `signal_number` is 0."""
    if signal_number:
        run.save()
        raise Interrupted(signal_number, f"stopped in {run.place}; the same command continues there")
