"""The inputs and results of a training: the same in every process that takes part."""

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from textlstm.config import Task, TrainingConfig
from textlstm.models.network.inputs import EncodedSplit
from textlstm.models.network.network import TextNetwork

_MAY_CHANGE = ("checkpoint_seconds", "num_models", "refit")
"""Settings with which a training may be continued although they differ."""
_DIGESTED = 1 << 20
"""Values that are digested at a time."""


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A network, rows, and settings."""

    network: TextNetwork
    """With fresh weights; it is trained in place."""
    train: EncodedSplit
    validation: EncodedSplit
    """Rows that decide which epoch is the best and when to stop; there may be none."""
    config: TrainingConfig
    task: Task
    """One label a row or several."""
    seed: int
    """Of batches and dropout."""
    freeze_epochs: int = 0
    """Epochs in which the word vectors stay fixed; -1 means all."""
    run_key: str = ""
    """Further facts that must be equal for a training to be continued, such as the model's settings."""
    num_epochs: int = 0
    """End after this many of `config.epochs`, whose learning rates do not change; 0 means all."""

    @property
    def num_labels(self) -> int:
        """Logits a text."""
        return self.network.head.output.out_features

    @property
    def last_epoch(self) -> int:
        """Number of the epoch after which the training is over, 1 for the first."""
        return self.num_epochs or self.config.epochs

    @property
    def mean_length(self) -> float:
        """Tokens of an average training row."""
        return len(self.train.token_ids) / max(1, self.train.num_rows)

    @property
    def parallel_tokens(self) -> float:
        """Tokens of an average batch if the network trains faster in two threads, else 0."""
        if not self.network.can_run_in_parallel:
            return 0
        return self.config.batch_tokens or self.config.batch_size * self.mean_length

    def fingerprint(self) -> str:
        """Return a digest of all that must be equal for a training to be continued: settings, rows, first weights."""
        # Settings first, then every array of both splits, then names, shapes and values of the first weights.
        settings = {key: str(value) for key, value in asdict(self.config).items() if key not in _MAY_CHANGE}
        plain = (settings, self.task.value, self.seed, self.freeze_epochs, self.run_key, self.num_epochs)
        digest = hashlib.sha256(repr(plain).encode())
        for split in (self.train, self.validation):
            arrays = (split.token_ids, split.offsets, split.pos_ids, split.targets, split.spellings, split.weights)
            for array in (array for array in arrays if array is not None):
                for start in range(0, len(array), _DIGESTED):
                    digest.update(np.ascontiguousarray(array[start : start + _DIGESTED]).data)
                    split.release()
        for name, tensor in self.network.state_dict().items():
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.cpu().contiguous().numpy().data)
        return digest.hexdigest()


# What training tells: a report an epoch, and the result.


class Step(NamedTuple):
    """How far a training is."""

    epoch: int
    """1 for the first."""
    last_epoch: int
    batch: int
    """Batches of this epoch that are done."""
    num_batches: int
    """Batches of this epoch."""


@dataclass(frozen=True, slots=True)
class EpochReport:
    """One epoch, measured at its end; validation figures are those of the averaged weights."""

    epoch: int
    """1 for the first."""
    train_loss: float
    """Mean loss of training rows, in the course of the epoch."""
    validation_loss: float
    """Plain cross-entropy of validation rows."""
    macro_f1: float
    """Validation macro-F1; the best epoch is chosen by it."""
    accuracy: float
    """Part of validation rows that are right (in every label)."""
    learning_rate: float
    """Learning rate at the end of the epoch, for all weights but word embeddings."""
    num_steps: int
    """Steps of the epoch."""
    num_skipped: int
    """Steps so far that were left out because a gradient was not finite."""
    tokens_per_second: float
    """Training tokens, padding left out, by the time of the steps."""
    padding_share: float
    """Part of the cells of training batches that hold no token, in [0, 1]."""
    seconds: float
    """Time of the training steps of the epoch, validation and checkpoints left out."""
    is_best: bool
    """Whether this is the best epoch so far."""


@dataclass(frozen=True, slots=True)
class FitResult:
    """The outcome of a training."""

    best_state: dict[str, Tensor]
    """state_dict of the network at its best epoch (averaged weights), on the CPU."""
    best_epoch: int
    """1 for the first."""
    history: list[EpochReport]
    """All epochs, those before a resume included."""
    tokens_per_second: float
    """Over all epochs."""
    padding_share: float
    """Over all epochs, in [0, 1]."""
    events: list[str]
    """Events for the user, a line each: resumed, batch halved, steps skipped, stopped early."""


# How far a training is: plain data that goes into a checkpoint and comes back.


@dataclass(slots=True)
class Progress:
    """Position, history and sums; the only mutable state of a training beside its tensors."""

    epoch: int = 0
    """Number of the current epoch, 0 for the first."""
    batch: int = 0
    """Number of the next batch of the epoch."""
    step: int = 0
    """Steps done in all epochs."""
    rows: int = 0
    """Rows of the epoch that were trained on."""
    tokens: int = 0
    """Tokens of the epoch that were trained on."""
    cells: int = 0
    """The same with padding."""
    seconds: float = 0.0
    """Time of the steps of the epoch."""
    pieces: int = 1
    """Parts in which a batch is computed; doubled when memory runs out."""
    best_epoch: int = 0
    """Number of the best epoch, 1 for the first; 0 means none yet."""
    history: list[EpochReport] = field(default_factory=list)
    total_tokens: int = 0
    total_cells: int = 0
    total_seconds: float = 0.0
    events: list[str] = field(default_factory=list)

    @property
    def stale_epochs(self) -> int:
        """Epochs since the best one."""
        return self.epoch - self.best_epoch

    @property
    def best(self) -> EpochReport | None:
        """The report of the best epoch so far."""
        return self.history[self.best_epoch - 1] if self.best_epoch else None

    def end_step(self, num_rows: int, num_tokens: int, *, width: int) -> None:
        """Count a batch of `num_rows` rows padded to `width` tokens, and go to the next."""
        self.batch += 1
        self.step += 1
        self.rows += num_rows
        self.cells += num_rows * width
        self.tokens += num_tokens

    def end_epoch(self, report: EpochReport) -> None:
        """Note the report of the epoch and go to the start of the next."""
        self.history.append(report)
        if report.is_best:
            self.best_epoch = report.epoch
        self.total_tokens += self.tokens
        self.total_cells += self.cells
        self.total_seconds += self.seconds
        self.epoch += 1
        self.batch = self.rows = self.tokens = self.cells = 0
        self.seconds = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Progress":
        """Return the progress that `to_json` was made from."""
        return cls(**{**data, "history": [EpochReport(**report) for report in data["history"]]})
