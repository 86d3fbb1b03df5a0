"""The training loop: `fit`."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from textlstm.models.network.parallel import both
from textlstm.processes.devices import choose_device
from textlstm.processes.signals import noted_between_steps
from textlstm.training.compute import compute_settings
from textlstm.training.job import EpochReport, FitResult, Step, TrainingJob
from textlstm.training.trainer import Trainer
from textlstm.training.workers import training_processes


def fit(
    job: TrainingJob,
    *,
    checkpoint_dir: Path | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
    on_step: Callable[[Step], None] | None = None,
    stop: Callable[[], int] | None = None,
) -> FitResult:
    """Train `job.network` and return its weights at the epoch with the best validation macro-F1.

    Without validation rows they are those after the last epoch. The network is trained in place and ends with these
    weights.

    Everything random is a function of the seed, the epoch and the batch, so a training that was interrupted and one
    that was not end with the same weights. Under `torchrun` all processes call this and train one network; the
    first one calls `on_epoch` and writes checkpoints.

    Args:
        job: the network, its rows and its settings.
        checkpoint_dir: folder of checkpoints; a training found there is continued. None: no checkpoints.
        on_epoch: called after each epoch; after a kill the last epoch may be reported again.
        on_step: called after each batch, in the first process.
        stop: asked after each step; not 0 is the number of the signal that asks for a clean stop.

    Raises:
        Interrupted: `stop` asked for it; the state was saved first.
        ConfigError: no GPU, no memory, a diverging loss, or checkpoints of another training.
        IntegrityError: every checkpoint found is damaged.
        StorageError: a checkpoint cannot be written.
        TextLSTMError: a helper process died.
    """
    device = choose_device(job.config.device, key="training.device")
    with (
        training_processes(job, device, train=fit) as processes,
        compute_settings(job.config, device, num_processes=processes.size, parallel_tokens=job.parallel_tokens),
    ):
        # Everything goes to the device; a training found among the checkpoints is continued.
        trainer = Trainer(job, processes, device=device, checkpoint_dir=checkpoint_dir)
        optimizer, progress = trainer.optimizer, trainer.progress
        # Without `stop` nobody would ask between steps, so a signal ends the training at once.
        with trainer.checkpoints_written(), noted_between_steps() if stop is not None else nullcontext():
            while not trainer.finished:
                # Which rows go into which batch is a function of the seed and the epoch.
                epoch = trainer.begin_epoch()
                batch = epoch.batch(progress.batch)
                while batch is not None:
                    began = time.perf_counter()
                    factor = trainer.learning_rate_factor(progress.rows + batch.num_rows / 2)
                    # A GPU that knows batches of this shape takes the whole step as one captured graph.
                    if trainer.take_captured_step(batch, factor):
                        signal_number, following = stop() if stop else 0, epoch.batch(progress.batch + 1)
                    else:
                        inputs, targets, words, weights = batch.gathered or epoch.gather(batch.rows, batch.width)
                        # Forward, loss, backward: over the rows of this process, in pieces where memory is short.
                        before_last = trainer.begin_step(words)
                        loss = trainer.gradients.add(
                            *(inputs, targets, optimizer, progress),
                            share=processes.share,
                            weights=weights,
                            before_last=before_last,
                        )
                        # The processes sum their gradients, and learn whether one of them was asked to stop.
                        asked_to_stop = stop() if stop else 0
                        signal_number = trainer.sum_over_processes(loss, inputs.token_ids, asked_to_stop=asked_to_stop)
                        # Clip, AdamW, average. The second CPU thread, where there is one, gathers the next batch.
                        _, following = both(partial(optimizer.step, factor), partial(epoch.batch, progress.batch + 1))
                        trainer.loss_sum += loss
                    trainer.end_step(batch, is_last=following is None)
                    progress.seconds += time.perf_counter() - began
                    # A signal ends the training after a checkpoint; else one is written when the last is old enough.
                    trainer.stop_if_asked(signal_number, epoch)
                    if on_step and processes.is_first:
                        on_step(Step(progress.epoch + 1, job.last_epoch, progress.batch, epoch.plan.num_batches))
                    trainer.save_if_due()
                    batch = following
                # The averaged weights are evaluated, and kept where they are the best so far.
                report = trainer.end_epoch(epoch, stop=stop)
                if on_epoch and processes.is_first:
                    on_epoch(report)
                trainer.save()
        return trainer.result()
