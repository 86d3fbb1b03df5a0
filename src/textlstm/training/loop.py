"""The training loop: `fit`."""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from textlstm.config import Imbalance, Task, TrainingConfig
from textlstm.errors import ConfigError, Interrupted
from textlstm.models.batch import Batch
from textlstm.models.network import TextNetwork
from textlstm.training.batching import BatchPlan, DeviceSplit, plan_epoch
from textlstm.training.checkpoints import CheckpointStore
from textlstm.training.compute import compute_settings, precision_of
from textlstm.training.encoding import EncodedSplit
from textlstm.training.objective import build_objective, row_weights
from textlstm.training.optimiser import Optimiser
from textlstm.training.prediction import autocast, predict_on_device
from textlstm.training.progress import Progress
from textlstm.training.reports import EpochReport, FitResult
from textlstm.training.schedule import learning_rate_factor
from textlstm.training.scores import score

_MOST_SKIPPED = 20
"""So many steps with a non-finite gradient end the training."""
_CHECK_STEPS = 100
"""Steps between two looks at the count of skipped steps; a look waits for the GPU."""


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
    on_epoch: Callable[[EpochReport], None] | None = None,
    stop: Callable[[], int] | None = None,
) -> FitResult:
    """Train `network` and return its weights at the epoch with the best validation macro-F1.

    Everything random is a function of `seed`, the epoch and the batch, so a training that was interrupted and one
    that was not end with the same weights.

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
        on_epoch: called after each epoch; after a kill the last epoch may be reported again.
        stop: asked before each step; not 0 is the number of the signal that asks for a clean stop.

    Raises:
        Interrupted: `stop` asked for it; the state was saved first.
        ConfigError: no GPU, no memory, a diverging loss, or checkpoints of another training.
        IntegrityError: every checkpoint found is damaged.
        StorageError: a checkpoint cannot be written.
    """
    with compute_settings(config) as device:
        run = _Run(network.to(device), train, validation, config=config, task=task, seed=seed)
        run.prepare(checkpoint_dir, run_key=run_key)
        while not run.finished:
            run.begin_epoch(frozen=freeze_epochs < 0 or run.progress.epoch < freeze_epochs)
            while run.progress.batch < run.plan.num_batches:
                run.step()
                if signal_number := stop() if stop else 0:
                    run.save()
                    where = f"epoch {run.progress.epoch + 1}, batch {run.progress.batch} of {run.plan.num_batches}"
                    raise Interrupted(signal_number, f"stopped in {where}; the same command continues there")
                run.save_if_due()
            report = run.end_epoch()
            if on_epoch:
                on_epoch(report)
            run.save()
        return run.result()


class _Run:
    """The parts of one training and what happens to them."""

    def __init__(
        self,
        network: TextNetwork,
        train: EncodedSplit,
        validation: EncodedSplit,
        *,
        config: TrainingConfig,
        task: Task,
        seed: int,
    ) -> None:
        self.config, self.task, self.seed = config, task, seed
        self.network, self.device = network, network.device
        self.precision = precision_of(config)
        self.encoded, self.encoded_validation = train, validation
        self.train, self.validation = DeviceSplit(train, self.device), DeviceSplit(validation, self.device)
        num_labels = network.head.output.out_features
        self.objective = build_objective(config, task, targets=train.targets, num_labels=num_labels, device=self.device)
        balanced = config.imbalance is Imbalance.balanced_sampler
        self.row_weights = row_weights(train.targets, num_labels) if balanced else None
        self.progress = Progress()
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        self.best: dict[str, Tensor] = {}
        self.store: CheckpointStore | None = None
        self.saved_at = time.perf_counter()

    @property
    def finished(self) -> bool:
        patience = self.config.patience
        return self.progress.epoch >= self.config.epochs or 0 < patience <= self.progress.stale_epochs

    def prepare(self, checkpoint_dir: Path | None, *, run_key: str) -> None:
        """Build the optimiser; take over the newest checkpoint, if there is one."""
        fingerprint = self._fingerprint(run_key) if checkpoint_dir else ""
        self.optimiser = Optimiser(self.network, self.config)
        if checkpoint_dir is None:
            return
        self.store = CheckpointStore(checkpoint_dir, fingerprint=fingerprint)
        found = self.store.load()
        if found is None:
            return
        self.progress = Progress.from_json(found.progress)
        self.progress.events += [
            *found.events,
            f"continued from epoch {self.progress.epoch + 1}, step {self.progress.step}",
        ]
        self.loss_sum.copy_(found.tensors.pop("loss_sum"))
        self.best = {k.removeprefix("best."): t for k, t in found.tensors.items() if k.startswith("best.")}
        self.optimiser.load({k: t for k, t in found.tensors.items() if not k.startswith("best.")})

    def begin_epoch(self, *, frozen: bool) -> None:
        """Plan the batches of the current epoch."""
        self.network.train()
        self.optimiser.words_frozen = frozen
        self.network.set_word_embeddings_trainable(not frozen)
        lengths, epoch = self.train.lengths, self.progress.epoch
        self.plan: BatchPlan = plan_epoch(
            lengths, batch_size=self.config.batch_size, seed=self.seed, epoch=epoch, weights=self.row_weights
        )
        self.plan_rows = torch.from_numpy(self.plan.rows).to(self.device)

    def step(self) -> None:
        """Train on the next batch."""
        began, progress, plan = time.perf_counter(), self.progress, self.plan
        first, last = int(plan.starts[progress.batch]), int(plan.starts[progress.batch + 1])
        width = int(plan.widths[progress.batch])
        rows = self.plan_rows[first:last]
        batch, targets = self.train.batch(rows, width=width), self.train.targets[rows]
        batch = batch._replace(token_ids=self.optimiser.enter(batch.token_ids))
        self.loss_sum += self._gradients(batch, targets)
        self.optimiser.step(self._learning_rate_factor((first + last) / 2))
        progress.batch += 1
        progress.step += 1
        progress.rows += last - first
        progress.cells += (last - first) * width
        progress.tokens += int(self.train.lengths[plan.rows[first:last]].sum())
        progress.seconds += time.perf_counter() - began
        if progress.step % _CHECK_STEPS == 0 or progress.batch == plan.num_batches:
            self._check_finite()

    def _learning_rate_factor(self, rows: float) -> float:
        """Return the part of the peak learning rate when `rows` rows of the epoch were seen."""
        done = (self.progress.epoch + rows / len(self.plan.rows)) / self.config.epochs
        return learning_rate_factor(self.config.schedule, done, warmup_fraction=self.config.warmup_fraction)

    def _gradients(self, batch: Batch, targets: Tensor) -> Tensor:
        """Add the gradients of the mean loss of a batch; return the sum of its losses. Out of memory: in smaller pieces."""
        while True:
            pieces = self.progress.pieces
            try:
                total = torch.zeros((), dtype=torch.float64, device=self.device)
                for piece in range(pieces):
                    part = Batch(*(None if t is None else t[piece::pieces] for t in batch))  # type: ignore[arg-type]
                    if len(part.lengths):
                        total += self._backward(part, targets[piece::pieces], piece=piece, num_rows=len(targets))
            except RuntimeError as error:
                if not _out_of_memory(error):
                    raise
                if pieces >= len(targets):
                    raise ConfigError(
                        f"out of memory with a single text of {batch.token_ids.shape[1]} tokens; "
                        "lower model.max_tokens or model.hidden_size"
                    ) from error
            else:
                return total
            self.progress.pieces *= 2
            self.progress.events.append(
                f"step {self.progress.step + 1}: out of memory; batches are computed in {2 * pieces} pieces from here on"
            )
            self.optimiser.zero_gradients()

    def _backward(self, batch: Batch, targets: Tensor, *, piece: int, num_rows: int) -> Tensor:
        torch.manual_seed(_mixed(self.seed, self.progress.epoch, self.progress.batch, piece))
        with autocast(self.device, self.precision):
            logits = self.network(batch)
            again = self.network(batch) if self.config.r_drop else None
        losses = self.objective.losses(logits, targets)
        if again is not None:
            losses = (losses + self.objective.losses(again, targets)) / 2
            losses = losses + self.config.r_drop * self.objective.divergence(logits, again)
        total = losses.sum()
        (total / num_rows).backward()  # type: ignore[no-untyped-call]
        return total.detach()

    def _check_finite(self) -> None:
        num_skipped = int(self.optimiser.num_skipped)
        if num_skipped >= _MOST_SKIPPED:
            raise ConfigError(
                f"training.learning_rate={self.config.learning_rate:g}: the gradient was not finite in {num_skipped} of "
                f"{self.progress.step} steps; lower it (and training.embedding_learning_rate), or set "
                "training.clip_norm=1 or training.precision=fp32"
            )

    def end_epoch(self) -> EpochReport:
        """Evaluate the averaged weights, keep them when they are the best, and go to the next epoch."""
        progress = self.progress
        train_loss = float(self.loss_sum) / max(1, progress.rows)
        with self.optimiser.averaged():
            logits = predict_on_device(self.network, self.validation, precision=self.precision)
            loss = _plain_loss(logits, self.encoded_validation.targets)
            macro_f1, accuracy = score(logits, self.encoded_validation.targets, task=self.task)
            best = progress.best
            is_best = best is None or (macro_f1, -loss) > (best.macro_f1, -best.validation_loss)
            if is_best:
                self.best = {k: t.detach().cpu().clone() for k, t in self.network.state_dict().items()}
                progress.best_epoch = progress.epoch + 1
        report = EpochReport(
            epoch=progress.epoch + 1,
            train_loss=train_loss,
            validation_loss=loss,
            macro_f1=macro_f1,
            accuracy=accuracy,
            learning_rate=self.config.learning_rate * self._learning_rate_factor(progress.rows),
            num_steps=self.plan.num_batches,
            num_skipped=int(self.optimiser.num_skipped),
            tokens_per_second=progress.tokens / max(progress.seconds, 1e-9),
            padding_share=1 - progress.tokens / max(progress.cells, 1),
            seconds=progress.seconds,
            is_best=is_best,
        )
        progress.history.append(report)
        progress.next_epoch()
        self.loss_sum.zero_()
        if self.finished and progress.epoch < self.config.epochs:
            progress.events.append(
                f"stopped after epoch {progress.epoch}: no better validation macro-F1 for {progress.stale_epochs} epochs"
            )
        return report

    def save_if_due(self) -> None:
        """Write a checkpoint when the last one is old enough."""
        if self.store and time.perf_counter() - self.saved_at >= self.config.checkpoint_seconds:
            self.save()

    def save(self) -> None:
        """Write a checkpoint."""
        if self.store:
            best = {f"best.{name}": tensor for name, tensor in self.best.items()}
            tensors = {**self.optimiser.tensors(), **best, "loss_sum": self.loss_sum}
            self.store.save(self.progress.step, tensors, self.progress.to_json())
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

    def _fingerprint(self, run_key: str) -> str:
        free = ("checkpoint_seconds", "num_threads", "device", "num_models")
        settings = {k: str(v) for k, v in asdict(self.config).items() if k not in free}
        digest = hashlib.sha256(repr((settings, self.task.value, self.seed, run_key)).encode())
        for split in (self.encoded, self.encoded_validation):
            for array in (split.token_ids, split.offsets, split.pos_ids, split.targets, split.expert_logits):
                if array is not None:
                    digest.update(np.ascontiguousarray(array))
        for name, tensor in self.network.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().numpy())
        return digest.hexdigest()


def _plain_loss(logits: np.ndarray, targets: np.ndarray) -> float:
    if not len(targets):
        return math.nan
    scores, wanted = torch.from_numpy(logits), torch.from_numpy(targets)
    if targets.ndim == 2:
        return float(functional.binary_cross_entropy_with_logits(scores, wanted))
    return float(functional.cross_entropy(scores, wanted))


def _mixed(*numbers: int) -> int:
    """Return one seed from several numbers."""
    return int.from_bytes(hashlib.sha256(repr(numbers).encode()).digest()[:8]) >> 1


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
