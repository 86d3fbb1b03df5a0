"""The parts of a training and what happens to them in a step, an epoch, a checkpoint."""

import json
import math
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from textlstm.config import Imbalance
from textlstm.errors import ConfigError
from textlstm.models.network.batch import Batch, DeviceSplit
from textlstm.models.network.batch_plan import plan_epoch
from textlstm.models.network.parallel import both
from textlstm.models.network.predict import predict_on_device
from textlstm.processes.distributed import Processes
from textlstm.training.checkpoints import Checkpoint, CheckpointStore
from textlstm.training.compute import precision_of
from textlstm.training.gradients import Gradients
from textlstm.training.job import EpochReport, FitResult, Progress, TrainingJob
from textlstm.training.lazy_adamw import FoundWords
from textlstm.training.loss import build_objective, row_weights
from textlstm.training.optimizer import Optimizer, learning_rate_factor
from textlstm.training.validation_scores import score

_MOST_SKIPPED = 20
"""So many steps with a non-finite gradient end the training."""
_CHECK_STEPS = 100
"""Steps between two looks at the count of skipped steps; a look waits for the GPU."""
_LOOK_STEPS = 16
"""Steps between two looks, on GPUs in several processes, at whether one was asked to stop."""


class _Ready(NamedTuple):
    """A batch before its step."""

    batch: Batch
    targets: Tensor
    words: FoundWords | None


class TrainingRun:
    """A training in one process; `loop.fit` drives it."""

    def __init__(
        self, job: TrainingJob, processes: Processes, *, device: torch.device, store: CheckpointStore | None
    ) -> None:
        """Put everything on the device; the first process takes over the newest checkpoint, the others its state."""
        self.job, self.config, self.processes, self.device, self.store = job, job.config, processes, device, store
        self.network = job.network.to(device)
        self.precision = precision_of(job.config, device)
        self.train, self.validation = DeviceSplit(job.train, device), DeviceSplit(job.validation, device)
        targets, num_labels = job.train.targets, job.num_labels
        objective = build_objective(job.config, job.task, targets=targets, num_labels=num_labels, device=device)
        self.gradients = Gradients(self.network, objective, job.config, precision=self.precision, seed=job.seed)
        balanced = job.config.imbalance is Imbalance.balanced_sampler
        self.row_weights = row_weights(targets, num_labels) if balanced else None
        self.optimizer = Optimizer(self.network, job.config)
        self.progress = Progress()
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self.best: dict[str, Tensor] = {}
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
        patience = self.config.patience
        return self.progress.epoch >= self.job.last_epoch or 0 < patience <= self.progress.stale_epochs

    @property
    def epoch_done(self) -> bool:
        """Whether every batch of the epoch was seen."""
        return self.progress.batch >= self.plan.num_batches

    @property
    def place(self) -> str:
        """Where the training is, for people."""
        return f"epoch {self.progress.epoch + 1}, batch {self.progress.batch} of {self.plan.num_batches}"

    def begin_epoch(self) -> None:
        """Plan the batches of the current epoch."""
        epoch, freeze_epochs = self.progress.epoch, self.job.freeze_epochs
        frozen = freeze_epochs < 0 or epoch < freeze_epochs
        self.network.train()
        self.network.set_word_embeddings_trainable(not frozen)
        self.optimizer.words_frozen = frozen
        self.plan = plan_epoch(
            self.train.lengths,
            batch_size=self.config.batch_size,
            seed=self.job.seed,
            epoch=epoch,
            weights=self.row_weights,
        )
        self.plan_rows = torch.from_numpy(self.plan.rows).to(self.device)
        self.ready: _Ready | None = None

    def step(self, *, asked_to_stop: int) -> int:
        """Train on the next batch; return the signal by which any process is asked to stop, or 0."""
        began, progress, plan = time.perf_counter(), self.progress, self.plan
        ready = self.ready or self._prepare(progress.batch)
        assert ready is not None
        first, last = int(plan.starts[progress.batch]), int(plan.starts[progress.batch + 1])
        self.optimizer.enter(ready.words)
        loss = self.gradients.add(ready.batch, ready.targets, self.optimizer, progress, share=self.processes.share)
        if self.processes.size > 1:
            num_asked = torch.full_like(loss, float(asked_to_stop > 0))
            self.processes.sum([*self.optimizer.gradients, loss, num_asked])
            asked_to_stop = self._agree_to_stop(num_asked, asked_to_stop)
        self.loss_sum += loss
        factor = self._learning_rate_factor((first + last) / 2)
        _, self.ready = both(partial(self.optimizer.step, factor), partial(self._prepare, progress.batch + 1))
        progress.batch += 1
        progress.step += 1
        progress.rows += last - first
        progress.cells += (last - first) * ready.batch.token_ids.shape[1]
        progress.tokens += int(self.train.lengths[plan.rows[first:last]].sum())
        if progress.step % _CHECK_STEPS == 0 or self.epoch_done:
            self._check_finite()
        progress.seconds += time.perf_counter() - began
        return asked_to_stop

    def _prepare(self, number: int) -> _Ready | None:
        """Return a batch of the epoch, None after its last; it may run beside the step before."""
        if number >= self.plan.num_batches:
            return None
        rows = self.plan_rows[self.plan.starts[number] : self.plan.starts[number + 1]]
        batch = self.train.batch(rows, width=int(self.plan.widths[number]))
        words = self.optimizer.find(batch.token_ids)
        if words:
            batch = batch._replace(token_ids=words.numbers)
        return _Ready(batch, self.train.targets[rows], words)

    def end_epoch(self, *, between_batches: Callable[[], None] | None = None) -> EpochReport:
        """Evaluate the averaged weights, keep them when they are the best, and go to the next epoch.

        When `between_batches` raises, nothing has changed yet: a checkpoint then repeats the evaluation.
        """
        progress, targets = self.progress, self.job.validation.targets
        with self.optimizer.averaged():
            logits = predict_on_device(
                self.network,
                self.validation,
                precision=self.precision,
                processes=self.processes,
                between_batches=between_batches,
            )
            loss, scores = _cross_entropy(logits, targets), score(logits, targets, task=self.job.task)
            best = progress.best
            is_best = (
                best is None or not len(targets) or (scores.macro_f1, -loss) > (best.macro_f1, -best.validation_loss)
            )
            if is_best:
                self.best = {name: t.detach().cpu().clone() for name, t in self.network.state_dict().items()}
        report = EpochReport(
            epoch=progress.epoch + 1,
            train_loss=float(self.loss_sum) / max(1, progress.rows),
            validation_loss=loss,
            macro_f1=scores.macro_f1,
            accuracy=scores.accuracy,
            learning_rate=self.config.learning_rate * self._learning_rate_factor(progress.rows),
            num_steps=self.plan.num_batches,
            num_skipped=int(self.optimizer.num_skipped),
            tokens_per_second=progress.tokens / max(progress.seconds, 1e-9),
            padding_share=1 - progress.tokens / max(progress.cells, 1),
            seconds=progress.seconds,
            is_best=is_best,
        )
        progress.end_epoch(report)
        self.loss_sum.zero_()
        if self.finished and progress.epoch < self.job.last_epoch:
            progress.events.append(
                f"stopped after epoch {progress.epoch}: no better validation macro-F1 in {progress.stale_epochs} epochs"
            )
        return report

    def save_if_due(self) -> None:
        """Write a checkpoint when the last one is old enough."""
        if time.perf_counter() - self.saved_at >= self.config.checkpoint_seconds:
            self.save()

    def save(self) -> None:
        """Write a checkpoint, in the first process, if checkpoints are wanted."""
        if self.store:
            self.store.save(self._tensors(), self.progress.to_json())
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

    def _agree_to_stop(self, num_asked: Tensor, asked_to_stop: int) -> int:
        """Return the signal by which all processes stop after this step; GPUs are waited for now and then only."""
        if self.device.type == "cuda" and self.progress.step % _LOOK_STEPS:
            return 0
        return (asked_to_stop or signal.SIGTERM) if num_asked.item() else 0

    def _learning_rate_factor(self, rows: float) -> float:
        """Return the part of the peak learning rate when `rows` rows of the epoch were seen."""
        done = (self.progress.epoch + rows / len(self.plan.rows)) / self.config.epochs
        return learning_rate_factor(self.config.schedule, done, warmup_fraction=self.config.warmup_fraction)

    def _check_finite(self) -> None:
        num_skipped = int(self.optimizer.num_skipped)
        if num_skipped >= _MOST_SKIPPED:
            raise ConfigError(
                f"training.learning_rate={self.config.learning_rate:g}: the gradient was not finite in {num_skipped} "
                f"of {self.progress.step} steps; lower it (and training.embedding_learning_rate), or set "
                "training.clip_norm=1 or training.precision=fp32"
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

        tensors = {name: tensor.cpu().contiguous() for name, tensor in self._tensors().items()}
        data = self.processes.from_first(save(tensors), device=self.device)
        progress = self.processes.from_first(json.dumps(self.progress.to_json()).encode(), device=self.device)
        if not self.processes.is_first:
            self._take_over(Checkpoint(load(data), json.loads(progress), events=[]))


def _cross_entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    if not len(targets):
        return math.nan
    scores, wanted = torch.from_numpy(logits), torch.from_numpy(targets)
    if targets.ndim == 2:
        return float(functional.binary_cross_entropy_with_logits(scores, wanted))
    return float(functional.cross_entropy(scores, wanted))
