"""The gradient of one batch: forward, loss, backward; in smaller pieces once memory has run out."""

import hashlib

import torch
from torch import Tensor

from textlstm.config import Precision, TrainingConfig
from textlstm.errors import ConfigError
from textlstm.models.batch import Batch
from textlstm.models.network import TextNetwork
from textlstm.training.objective import Objective
from textlstm.training.optimiser import Optimiser
from textlstm.training.prediction import autocast
from textlstm.training.progress import Progress


class Gradients:
    """Adds the gradients of batches to the parameters of a network."""

    def __init__(
        self, network: TextNetwork, objective: Objective, config: TrainingConfig, *, precision: Precision, seed: int
    ) -> None:
        """Compute in `precision`; dropout masks are a function of `seed`, the epoch, the batch and the row's place."""
        self.network, self.objective, self.config = network, objective, config
        self.precision, self.seed = precision, seed

    def add(self, batch: Batch, targets: Tensor, optimiser: Optimiser, progress: Progress, *, share: slice) -> Tensor:
        """Add the gradients of the mean loss of a batch, as far as the rows of `share` (every k-th) make it up.

        Returns:
            () float32 sum of the losses of those rows.

        Raises:
            ConfigError: memory does not do for a single row.
        """
        num_rows = len(targets)
        first, step = share.start, share.step
        while True:
            total = torch.zeros((), device=targets.device)
            try:
                for piece in range(progress.pieces):
                    rows = slice(first + piece * step, None, step * progress.pieces)
                    part = Batch(*(None if tensor is None else tensor[rows] for tensor in batch))  # type: ignore[arg-type]
                    if len(part.lengths):
                        torch.manual_seed(_mixed(self.seed, progress.epoch, progress.batch, rows.start))
                        total += self._backward(part, targets[rows], num_rows=num_rows)
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
                if progress.pieces * step >= num_rows:
                    raise ConfigError(
                        f"out of memory with a single text of {batch.token_ids.shape[1]} tokens; "
                        "lower model.max_tokens or model.hidden_size"
                    ) from error
            else:
                return total
            progress.pieces *= 2
            progress.events.append(
                f"step {progress.step + 1}: out of memory; from here on a batch is computed in {progress.pieces} pieces"
            )
            optimiser.zero_gradients()

    def _backward(self, batch: Batch, targets: Tensor, *, num_rows: int) -> Tensor:
        with autocast(targets.device, self.precision):
            logits = self.network(batch)
            again = self.network(batch) if self.config.r_drop else None
        losses = self.objective.losses(logits, targets)
        if again is not None:
            losses = (losses + self.objective.losses(again, targets)) / 2
            losses = losses + self.config.r_drop * self.objective.divergence(logits, again)
        total = losses.sum()
        (total / num_rows).backward()  # type: ignore[no-untyped-call]
        return total.detach()


def _mixed(*numbers: int) -> int:
    """Return one seed from several numbers."""
    return int.from_bytes(hashlib.sha256(repr(numbers).encode()).digest()[:8]) >> 1


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
