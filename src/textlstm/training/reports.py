"""What training tells: a report an epoch, and the result."""

from dataclasses import dataclass

from torch import Tensor


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
    """Learning rate at the end of the epoch (of the weights that are not word embeddings)."""
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
    """What a user should know: resumed, batch halved, steps skipped, stopped early."""
