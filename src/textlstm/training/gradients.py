"""The gradient of one batch: forward, loss, backward; in smaller pieces once memory has run out."""

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor

from textlstm.config import TrainingConfig
from textlstm.errors import ConfigError
from textlstm.models.network.batch import Batch
from textlstm.models.network.network import TextNetwork
from textlstm.models.network.precision import NumberFormat, computing_in
from textlstm.training.job import Progress
from textlstm.training.loss import Objective
from textlstm.training.optimizer import Optimizer


class Gradients:
    """Adds the gradients of batches to the parameters of a network."""

    def __init__(
        self,
        network: TextNetwork,
        objective: Objective,
        config: TrainingConfig,
        *,
        number_format: NumberFormat,
        seed: int,
    ) -> None:
        """Compute in `number_format`; dropout masks are a function of `seed`, epoch, batch and the row's place."""
        self.network, self.objective, self.config = network, objective, config
        self.number_format, self.seed = number_format, seed

    def add(
        self,
        batch: Batch,
        targets: Tensor,
        optimizer: Optimizer,
        progress: Progress,
        *,
        share: slice,
        weights: Tensor | None = None,
        before_last: Callable[[], None] | None = None,
    ) -> Tensor:
        """Add the gradients that the rows of `share` (every k-th of a batch) contribute to its mean loss.

        The loss of a row counts as often as its weight of `weights` (B,) says. `before_last` is called before the last
        backward pass, again where memory runs out in it.

        Returns:
            () float32 sum of the losses of those rows.

        Raises:
            ConfigError: memory is too small for a single row.
        """
        num_rows = len(targets)
        first, step = share.start, share.step
        # Start again in twice as many pieces when memory runs out; the gradient stays that of the whole batch.
        while True:
            totals = []
            try:
                for piece in range(progress.pieces):
                    rows = slice(first + piece * step, None, step * progress.pieces)
                    # (B, ...) to (B / pieces / processes, ...): every k-th row, so that pieces are about equally long
                    part = Batch(*(None if tensor is None else tensor[rows] for tensor in batch))  # type: ignore[arg-type]
                    if len(part.lengths):
                        self.seed_dropout(progress, first_row=rows.start)
                        its_weights = None if weights is None else weights[rows]
                        if before_last and piece == progress.pieces - 1:
                            before_last()
                        totals.append(self.backward(part, targets[rows], its_weights, num_rows=num_rows))
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                if progress.pieces * step >= num_rows:
                    raise ConfigError(
                        f"out of memory with a single text of {batch.token_ids.shape[1]} tokens; "
                        "lower model.max_tokens or model.hidden_size"
                    ) from error
            else:
                return sum(totals[1:], totals[0]) if totals else torch.zeros((), device=targets.device)
            # The graph of the failed try is gone with its error; what torch keeps of it is given back to libraries.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            progress.pieces *= 2
            progress.events.append(
                f"step {progress.step + 1}: out of memory; from here on a batch is computed in {progress.pieces} pieces"
            )
            # The pieces done so far have added their gradients already; they are dropped, or they would count twice.
            optimizer.zero_gradients()

    def seed_dropout(self, progress: Progress, *, first_row: int) -> None:
        """Let dropout depend on the place of the batch and of its first row alone: a resumed training repeats it."""
        _seed_generators(_mixed(self.seed, progress.epoch, progress.batch, first_row))

    def backward(self, batch: Batch, targets: Tensor, weights: Tensor | None, *, num_rows: int) -> Tensor:
        """Add the gradients of a batch, or of a part of one that has `num_rows` rows; never waits for a GPU.

        Returns:
            () float32 sum of the losses of its rows.
        """
        # Forward: (B, T) ids to (B, T, E) vectors and (B, L) logits.
        vectors, logits = self._forward(batch)
        losses = self.objective.losses(logits, targets)
        # A second pass, over the worst change of the vectors or with another dropout mask, and their divergence.
        if self.config.r_drop or self.config.adversarial:
            change = None
            if self.config.adversarial:
                change = self.config.adversarial * worst_change(losses, vectors, batch.lengths)
            _, again = self._forward(batch, change)
            losses = (losses + self.objective.losses(again, targets)) / 2
            losses = losses + self.config.r_drop * self.objective.divergence(logits, again)
        # Backward. The mean is over the whole batch: sums over pieces and processes make it up.
        total = losses.sum() if weights is None else (losses * weights).sum()
        (total / num_rows).backward()  # type: ignore[no-untyped-call]
        return total.detach()

    def _forward(self, batch: Batch, change: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return (B, T, E) word vectors and (B, L) logits of one pass, with `change` added to the vectors."""
        with computing_in(self.number_format, batch.token_ids.device):
            vectors = self.network.embed(batch)
            if self.config.adversarial and not vectors.requires_grad:  # all tables are frozen
                vectors.requires_grad_()
            if change is not None:
                vectors = vectors + change
            return vectors, self.network.classify(self.network.encode(vectors, batch.lengths))


def worst_change(losses: Tensor, vectors: Tensor, lengths: Tensor) -> Tensor:
    """Return (B, T, E) the change of the vectors of each text that raises its loss most, to first order.

    Its length, over all tokens, is the root mean square length of the text's vectors (Miyato, Dai and Goodfellow,
    Adversarial Training Methods for Semi-Supervised Text Classification, 2017; they scale the vectors instead).

    Args:
        losses: (B,), computed from `vectors`.
        vectors: (B, T, E).
        lengths: (B,) tokens of each text.
    """
    # The graph of the losses is kept: the backward pass of the step runs through it once more.
    (gradient,) = torch.autograd.grad(losses.sum(), vectors, retain_graph=True)
    inside = torch.arange(vectors.shape[1], device=vectors.device) < lengths[:, None]
    # Size: (B,) root mean square length of the text's token vectors; padding has no part in it.
    squares = vectors.detach().float().square().sum(dim=2) * inside
    size = (squares.sum(dim=1) / lengths.clamp(min=1)).sqrt()
    # (B, T, E) gradient to its (B,) length over all tokens; a text without a gradient is not changed.
    steepness = gradient.float().flatten(1).norm(dim=1)
    scale = torch.where(steepness > 0, size / steepness.clamp(min=torch.finfo(torch.float32).tiny), 0)
    return (gradient.float() * scale[:, None, None]).to(vectors.dtype)


def _mixed(*numbers: int) -> int:
    """Return one seed from several numbers."""
    return int.from_bytes(hashlib.sha256(repr(numbers).encode()).digest()[:8]) >> 1


_NO_MEMORY = ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""In messages of torch's CPU allocator, CUDA (also as an AcceleratorError), cuBLAS and cuDNN."""


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether memory ran out, in torch or in a library that allocates by itself."""
    return isinstance(error, torch.OutOfMemoryError) or any(message in str(error) for message in _NO_MEMORY)


def _seed_generators(seed: int) -> None:
    """Do what `torch.manual_seed` does, without its notes of where it was called: they take half a millisecond."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)
