"""The state of a training, and its changes in a step, at the end of an epoch and by a checkpoint."""

import json
import math
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from textlstm.config import Imbalance
from textlstm.errors import ConfigError, Interrupted
from textlstm.models.network.batch import DeviceSplit
from textlstm.models.network.batch_plan import plan_epoch
from textlstm.models.network.network import predict_on_device
from textlstm.processes.distributed import Processes
from textlstm.processes.memory import keep_freed_memory
from textlstm.training.batches import Epoch, TrainingBatch, gather
from textlstm.training.checkpoints import Checkpoint, CheckpointStore, CheckpointWriter, copies_on_host
from textlstm.training.compute import number_format_of
from textlstm.training.exchange import GradientExchange
from textlstm.training.gradients import Gradients
from textlstm.training.graphs import Shape, StepGraphs
from textlstm.training.job import EpochReport, FitResult, Progress, TrainingJob
from textlstm.training.large_batches import for_batches
from textlstm.training.lazy_adamw import FoundWords
from textlstm.training.loss import build_objective, row_weights
from textlstm.training.optimizer import Optimizer, learning_rate_factor
from textlstm.training.validation_scores import score

_MOST_SKIPPED = 20
"""This many steps with a non-finite gradient end the training."""
_CHECK_STEPS = 100
"""Steps between two looks at the count of skipped steps; a look waits for the GPU."""
_LOOK_STEPS = 16
"""Steps between two looks, on GPUs in several processes, at whether one was asked to stop."""


class Trainer:
    """A training in one process; `loop.fit` drives it."""

    def __init__(
        self, job: TrainingJob, processes: Processes, *, device: torch.device, checkpoint_dir: Path | None
    ) -> None:
        """Put everything on the device; the first process takes over the newest checkpoint, the others its state."""
        self.job, self.processes = job, processes
        keep_freed_memory()
        # The fingerprint is about the first weights, so it is taken before the optimizer rearranges them.
        store: CheckpointStore | None = None
        if checkpoint_dir and processes.is_first:
            store = CheckpointStore(checkpoint_dir, fingerprint=job.fingerprint())
        self.writer = CheckpointWriter(store) if store else None
        # Weights and rows go to the device once, before the optimizer takes the parameters over.
        self.network = job.network.to(device)
        self.train, self.validation = DeviceSplit(job.train, device), DeviceSplit(job.validation, device)
        objective = build_objective(
            job.config, job.task, targets=job.train.targets, num_labels=job.num_labels, device=device
        )
        number_format = number_format_of(job.config, device)
        self.gradients = Gradients(self.network, objective, job.config, number_format=number_format, seed=job.seed)
        self.optimizer = Optimizer(self.network, for_batches(job.config, mean_length=job.mean_length))
        self.exchange = GradientExchange(self.optimizer, processes) if processes.size > 1 else None
        self.progress = Progress()
        self.graphs: StepGraphs | None = None
        """The captured steps, on one GPU with batches of few shapes."""
        if device.type == "cuda" and job.config.batch_tokens and processes.size == 1:
            wait = self.writer.wait if self.writer else lambda: None
            self.graphs = StepGraphs(self._step_on_device, device=device, before_capture=wait)
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        """Of the rows of the epoch so far; it stays on the device, so that a step does not wait for it."""
        self.best: dict[str, Tensor] = {}
        """state_dict of the best epoch so far, on the CPU."""
        # Only the first process reads checkpoints; the others get its state as bytes.
        found = store.load() if store else None
        if found:
            self._take_over(found)
            where = f"epoch {self.progress.epoch + 1}, step {self.progress.step}"
            self.progress.events += [*found.events, f"continued from {where}"]
        self._share_state()
        self.saved_at = time.perf_counter()

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or as many as patience allows."""
        patience = self.job.config.patience
        return self.progress.epoch >= self.job.last_epoch or 0 < patience <= self.progress.stale_epochs

    def begin_epoch(self) -> Epoch:
        """Return the batches of the current epoch; word vectors are frozen or not, as its number says."""
        job, number = self.job, self.progress.epoch
        frozen = job.freeze_epochs < 0 or number < job.freeze_epochs
        self.network.train()
        self.network.set_word_embeddings_trainable(not frozen)
        self.optimizer.words_frozen = frozen
        # The plan is a function of seed and epoch, so a resumed epoch finds its batches again by their numbers.
        balanced = job.config.imbalance is Imbalance.balanced_sampler
        plan = plan_epoch(
            self.train.lengths,
            batch_size=job.config.batch_size,
            batch_tokens=job.config.batch_tokens,
            seed=job.seed,
            epoch=number,
            weights=row_weights(job.train.targets, job.num_labels) if balanced else None,
        )
        rows = torch.from_numpy(plan.rows).to(self.loss_sum.device)
        return Epoch(plan, rows, self.train, self.optimizer, self.graphs)

    def begin_step(self, words: FoundWords | None) -> Callable[[], None] | None:
        """Begin a step for a batch with these words; return what to call before its last backward pass, if anything."""
        self.optimizer.begin_step(words)
        if self.exchange is None:
            return None
        self.exchange.begin()
        return self.exchange.expect_last

    def take_captured_step(self, batch: TrainingBatch, factor: float) -> bool:
        """Take the whole step of `batch` as one graph; return False, with nothing changed, where there is none."""
        if self.graphs is None:
            return False
        # Batches in pieces have run out of memory before: graphs, which hold some, go first.
        if self.progress.pieces > 1:
            self.graphs.give_up("memory ran out")
        shape = Shape(batch.num_rows, batch.width, self.optimizer.words_frozen)
        if shape not in self.graphs:
            had_failed = self.graphs.failure
            if not self.graphs.capture_if_due(shape, batch.rows):
                if self.graphs.failure != had_failed:
                    self.progress.events.append(f"steps are not captured as CUDA graphs: {self.graphs.failure}")
                return False
            # The host has counted a step that the device has not taken yet.
            self.optimizer.count_captured_steps(-1)
        self.gradients.seed_dropout(self.progress, first_row=0)
        self.graphs.replay(shape, batch.rows, factor)
        self.optimizer.count_captured_steps(1)
        return True

    def _step_on_device(self, rows: Tensor, width: int, factor: Tensor) -> None:
        """Do what a step of `loop.fit` does in one process on a GPU, without a decision of the host: it is captured."""
        inputs, targets, words, weights = gather(self.train, self.optimizer, rows, width)
        self.optimizer.begin_step(words)
        loss = self.gradients.backward(inputs, targets, weights, num_rows=len(rows))
        self.optimizer.step(factor)
        self.loss_sum += loss

    def sum_over_processes(self, loss: Tensor, token_ids: Tensor, *, asked_to_stop: int) -> int:
        """Sum the gradients of a batch of (B, T) `token_ids` and its () `loss` over the processes.

        Returns:
            The signal by which all stop now, or 0.
        """
        if self.exchange is None:
            return asked_to_stop
        # One sum serves all: a process that was asked to stop adds a 1 beside its gradients.
        num_asked = torch.full_like(loss, float(asked_to_stop > 0))
        self.exchange.finish(token_ids, loss, num_asked)
        # To read the sum is to wait for the GPU, so there all processes read it at the same few steps.
        if loss.device.type == "cuda" and self.progress.step % _LOOK_STEPS:
            return 0
        return (asked_to_stop or signal.SIGTERM) if num_asked.item() else 0

    def learning_rate_factor(self, rows: float) -> float:
        """Return the part of the peak learning rate when `rows` rows of the epoch were seen."""
        config = self.job.config
        done = (self.progress.epoch + rows / self.job.train.num_rows) / config.epochs
        return learning_rate_factor(config.schedule, done, warmup_fraction=config.warmup_fraction)

    def end_step(self, batch: TrainingBatch, *, is_last: bool) -> None:
        """Count a batch; look now and then whether gradients are finite.

        Raises:
            ConfigError: too many steps were skipped.
        """
        self.optimizer.end_step()
        self.progress.end_step(batch.num_rows, batch.num_tokens, width=batch.width)
        if self.progress.step % _CHECK_STEPS and not is_last:
            return
        # This look waits for the GPU.
        num_skipped = int(self.optimizer.num_skipped)
        if num_skipped >= _MOST_SKIPPED:
            raise ConfigError(
                f"training.learning_rate={self.job.config.learning_rate:g}: the gradient was not finite in "
                f"{num_skipped} of {self.progress.step} steps; lower it (and training.embedding_learning_rate), or set "
                "training.clip_norm=1 or training.precision=fp32"
            )

    def end_epoch(self, epoch: Epoch, *, stop: Callable[[], int] | None) -> EpochReport:
        """Evaluate the averaged weights, keep them when they are the best, and go to the next epoch.

        Raises:
            Interrupted: `stop`, asked between batches in the first process, asks for it. Nothing has changed then: the
                checkpoint repeats the evaluation.
        """
        progress, targets = self.progress, self.job.validation.targets

        def between_batches() -> None:
            if stop and self.processes.is_first:
                self.stop_if_asked(stop(), epoch)

        # A signal in here raises before the epoch is counted, so the checkpoint stands at the end of its last batch.
        with self.optimizer.averaged():
            logits = predict_on_device(
                self.network,
                self.validation,
                number_format=self.gradients.number_format,
                processes=self.processes,
                between_batches=between_batches,
            )
            loss, scores = _cross_entropy(logits, targets), score(logits, targets, task=self.job.task)
            # Macro-F1 decides, and the loss between equals; without validation rows each epoch is the best so far.
            best = progress.best
            is_best = (
                best is None or not len(targets) or (scores.macro_f1, -loss) > (best.macro_f1, -best.validation_loss)
            )
            # A copy: without an average the network shows the very weights that the next epoch changes.
            if is_best:
                self.best = {name: t.detach().cpu().clone() for name, t in self.network.state_dict().items()}
        report = EpochReport(
            epoch=progress.epoch + 1,
            train_loss=float(self.loss_sum) / max(1, progress.rows),
            validation_loss=loss,
            macro_f1=scores.macro_f1,
            accuracy=scores.accuracy,
            learning_rate=self.optimizer.config.learning_rate * self.learning_rate_factor(progress.rows),
            num_steps=epoch.plan.num_batches,
            num_skipped=int(self.optimizer.num_skipped),
            tokens_per_second=progress.tokens / max(progress.seconds, 1e-9),
            padding_share=1 - progress.tokens / max(progress.cells, 1),
            seconds=progress.seconds,
            is_best=is_best,
        )
        # Only now does the position move on to the next epoch.
        progress.end_epoch(report)
        self.loss_sum.zero_()
        if self.finished and progress.epoch < self.job.last_epoch:
            progress.events.append(
                f"stopped after epoch {progress.epoch}: no better validation macro-F1 in {progress.stale_epochs} epochs"
            )
        return report

    def stop_if_asked(self, signal_number: int, epoch: Epoch) -> None:
        """Write a checkpoint and end the training, unless `signal_number` is 0.

        Raises:
            Interrupted: it is not 0.
        """
        if signal_number:
            self.save()
            if self.writer:
                self.writer.wait()
            place = f"epoch {self.progress.epoch + 1}, batch {self.progress.batch} of {epoch.plan.num_batches}"
            raise Interrupted(signal_number, f"stopped in {place}; the same command continues there")

    def checkpoints_written(self) -> AbstractContextManager[None]:
        """Return a block that is left once the last checkpoint is on the disk.

        Raises:
            StorageError: it cannot be written.
        """
        return self.writer.until_written() if self.writer else nullcontext()

    def save_if_due(self) -> None:
        """Write a checkpoint when the last one is old enough."""
        if time.perf_counter() - self.saved_at >= self.job.config.checkpoint_seconds:
            self.save()

    def save(self) -> None:
        """Write a checkpoint, in the first process, if checkpoints are wanted; a GPU goes on while it is written."""
        if self.writer:
            self.writer.save(self._tensors(), self.progress.to_json())
        self.saved_at = time.perf_counter()

    def result(self) -> FitResult:
        """Put the best weights into the network and return the outcome."""
        self.network.load_state_dict(self.best)
        progress = self.progress
        return FitResult(
            best_state=self.best,
            best_epoch=progress.best_epoch,
            history=progress.history,
            tokens_per_second=progress.total_tokens / max(progress.total_seconds, 1e-9),
            padding_share=1 - progress.total_tokens / max(progress.total_cells, 1),
            events=progress.events,
        )

    def _tensors(self) -> dict[str, Tensor]:
        best = {f"best.{name}": tensor for name, tensor in self.best.items()}
        return {**self.optimizer.tensors(), **best, "loss_sum": self.loss_sum}

    def _take_over(self, found: Checkpoint) -> None:
        self.progress = Progress.from_json(found.progress)
        self.loss_sum.copy_(found.tensors["loss_sum"])
        if self.progress.best_epoch:  # in the order of the network, not of the file
            self.best = {name: found.tensors[f"best.{name}"] for name in self.network.state_dict()}
        self.optimizer.load(found.tensors)

    def _share_state(self) -> None:
        """Let all processes begin with the state of the first."""
        if self.processes.size == 1:
            return
        from safetensors.torch import load, save

        # Weights first, then the position: the contents of a checkpoint, sent as its bytes.
        tensors = copies_on_host(self._tensors()).ready()
        device = self.loss_sum.device
        data = self.processes.from_first(save(tensors), device=device)
        progress = self.processes.from_first(json.dumps(self.progress.to_json()).encode(), device=device)
        if not self.processes.is_first:
            self._take_over(Checkpoint(load(data), json.loads(progress), events=[]))


def _cross_entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    """Return the mean cross-entropy of (N, L) logits in nats a row (several labels: a label); NaN without rows."""
    if not len(targets):
        return math.nan
    scores, wanted = torch.from_numpy(logits), torch.from_numpy(targets)
    if targets.ndim == 2:
        return float(functional.binary_cross_entropy_with_logits(scores, wanted))
    return float(functional.cross_entropy(scores, wanted))
