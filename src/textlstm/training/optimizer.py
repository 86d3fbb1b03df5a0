"""One step of all weights: two learning rates, clipping, the guard against non-finite gradients, the average."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import assert_never

import torch
from torch import Tensor, nn

from textlstm.config import Schedule, TrainingConfig
from textlstm.models.network.network import TextNetwork
from textlstm.training.adamw import FlatAdamW
from textlstm.training.lazy_adamw import FoundWords, LazyAdamW
from textlstm.training.sparse_adamw import SparseAdamW, pays


class Optimizer:
    """AdamW over a network: word embeddings with their own learning rate, everything else together."""

    def __init__(self, network: TextNetwork, config: TrainingConfig) -> None:
        """Take over the parameters of `network`, which must be on its device already."""
        self.config = config
        words = network.word_embedding_parameters()
        word_ids = {id(parameter) for parameter in words}
        others = [parameter for parameter in network.parameters() if id(parameter) not in word_ids]
        decay = config.ema_decay
        # On a GPU the weights of each recurrent cell lie in one piece, as cuDNN takes them.
        cells = [module for module in network.modules() if isinstance(module, nn.RNNBase)]
        groups = [] if network.device.type == "cpu" else [list(cell.parameters()) for cell in cells]
        self.others = FlatAdamW(others, weight_decay=config.weight_decay, average_decay=decay, groups=groups)
        self.words: FlatAdamW | LazyAdamW | SparseAdamW
        (table,) = words
        if network.device.type == "cpu":
            self.words = LazyAdamW(table, average_decay=decay)
        elif pays(table, batch_tokens=config.batch_tokens) and not config.deterministic:
            self.words = SparseAdamW(table, average_decay=decay)
        else:  # a GPU goes over a small table faster than it finds the words of a batch
            self.words = FlatAdamW(words, weight_decay=0.0, average_decay=decay)
        self.words_frozen = False
        self.num_skipped = torch.zeros((), device=network.device)
        """() float32 steps left out because a gradient was not finite."""

    def lookup(self, token_ids: Tensor) -> FoundWords | None:
        """Return the words of a batch, None where a step takes the whole table; it may run beside the step before."""
        if isinstance(self.words, FlatAdamW) or self.words_frozen:
            return None
        return self.words.lookup(token_ids)

    def begin_step(self, words: FoundWords | None) -> None:
        """Begin a step for a batch with these words, under whose numbers the network finds them from now on."""
        self.zero_gradients()
        if words and not isinstance(self.words, FlatAdamW):
            self.words.begin_step(words)

    def end_step(self) -> None:
        """End a step, captured or not."""
        if isinstance(self.words, SparseAdamW) and not self.words_frozen:
            self.words.end_step()

    def zero_gradients(self) -> None:
        """Forget the gradients of this step."""
        self.others.zero_gradients()
        if not self.words_frozen:
            self.words.zero_gradients()

    @property
    def gradients(self) -> list[Tensor]:
        """Every gradient of the step, for sums over processes."""
        return self.others.gradients + ([] if self.words_frozen else self.words.gradients)

    def step(self, factor: float | Tensor) -> None:
        """Clip and update with `factor` times the peak learning rates; a non-finite gradient changes nothing.

        On a GPU `factor` may be a () tensor, as in `FlatAdamW.step`.
        """
        # One norm over all gradients, as a () tensor: whether it is finite is decided on the device, nobody waits.
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(self.gradients)))
        skip = (norm - norm != 0).float()  # infinity and NaN, less themselves, are NaN
        self.num_skipped += skip
        # The same factor for all gradients, so that the direction of the step stays.
        if self.config.clip_norm:
            scale = (self.config.clip_norm / (norm + 1e-6)).clamp(max=1.0)
            torch._foreach_mul_(self.gradients, scale)
        self.others.step(self.config.learning_rate * factor, skip=skip)
        if self.words_frozen:
            return
        if isinstance(self.words, LazyAdamW):
            self.words.step(self.config.embedding_learning_rate * float(factor), skip=skip)
        else:
            self.words.step(self.config.embedding_learning_rate * factor, skip=skip)

    def count_captured_steps(self, number: int) -> None:
        """Count steps that a graph takes, which the host does not see, or with -1 one that was captured only."""
        for part in (self.others,) if self.words_frozen else (self.others, self.words):
            if isinstance(part, FlatAdamW):
                part.count_average(number)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Let the network see its averaged weights inside the block."""
        self.others.show_average()
        self.words.show_average()
        try:
            yield
        finally:
            self.others.show_weights()
            self.words.show_weights()

    def tensors(self) -> dict[str, Tensor]:
        """Return the state of the optimizer and the weights, by name."""
        parts = {"others": self.others.tensors(), "words": self.words.tensors()}
        named = {f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}
        return {"num_skipped": self.num_skipped, **named}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over the tensors of `tensors()`."""
        self.num_skipped.copy_(tensors["num_skipped"])
        others, words = (
            {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
            for prefix in ("others.", "words.")
        )
        self.others.load(others)
        # A CPU keeps idle words behind; a GPU, which takes over its training, wants the whole table up to date.
        if not isinstance(self.words, LazyAdamW) and "state" in words:
            lazy = LazyAdamW(nn.Parameter(words["state"][:, 0].clone()), average_decay=self.config.ema_decay)
            lazy.load(words)
            words = lazy.dense_tensors()
        self.words.load(words)


# How the learning rate moves, as a function of the part of the training that is done.

_ONE_CYCLE_START = 1 / 25
_ONE_CYCLE_END = 1 / 250_000


def learning_rate_factor(schedule: Schedule, progress: float, *, warmup_fraction: float) -> float:
    """Return the part of the peak learning rate to use when `progress` in [0, 1] of all rows were seen.

    `constant` and `cosine` rise linearly from 0 during the warm-up; `one_cycle` rises by half a cosine from 1/25
    (Smith and Topin 2018, with the shape of fast.ai) and ends at 1/250,000.
    """
    # From 0, or 1/25, up to the peak.
    if progress < warmup_fraction:
        risen = progress / warmup_fraction
        return _between(_ONE_CYCLE_START, 1.0, risen) if schedule is Schedule.one_cycle else risen
    # From the peak down, over what is left after the warm-up.
    fallen = (progress - warmup_fraction) / (1 - warmup_fraction)
    match schedule:
        case Schedule.constant:
            return 1.0
        case Schedule.cosine:
            return _between(1.0, 0.0, fallen)
        case Schedule.one_cycle:
            return _between(1.0, _ONE_CYCLE_END, fallen)
        case _:
            assert_never(schedule)


def _between(first: float, last: float, part: float) -> float:
    """Go from `first` to `last` along half a cosine."""
    return last + (first - last) * (1 + math.cos(math.pi * part)) / 2
