"""AdamW and the moving average of a large word table at the cost of the words of the batch. For the CPU.

A word that is not in a batch has no gradient, yet Adam goes on moving it: its moments decay, and the weight follows
the old mean. That motion has a closed form. Let a word be last updated at step s, with mean m and root of the square
v, and let c_j = learning rate * sqrt(1 - b2^j) / (1 - b1^j) be Adam's step size at step j. At step t its weight is

    w_t = w_s - S * m / v        with  S = sum of c_j (b1 / sqrt(b2))^(j - s)  over j = s + 1 ... t,

where S depends on s and t alone. The same holds for the moving average of the weight, with a second such number. So a
word is brought up to date when a batch needs it, and all words before an evaluation. The result is that of dense
AdamW up to rounding (and Adam's epsilon, which idle words leave out).
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from textlstm.models.network.parallel import both
from textlstm.training.adamw import BETAS, EPSILON

_WEIGHT, _MEAN, _SQUARE, _SHADOW = range(4)
DECAY = BETAS[0] / BETAS[1] ** 0.5
_MOVING_STEPS = 400
"""After this many idle steps a word stands still: DECAY ** 400 is below 1e-18."""
_DECAYS = DECAY ** np.arange(1, _MOVING_STEPS + 1)
LEAST_SQUARE = 1e-36
"""The root of a smaller number is lost beside Adam's epsilon."""


class FoundWords(NamedTuple):
    """The U words of a batch."""

    ids: Tensor
    """(U,) int64 rows of the table, rising."""
    numbers: Tensor
    """The word of each token, as a number among `ids`; shaped as the token ids."""


class StepTable:
    """A word table of which the network sees the U words of the batch during a step, and their (U, E) gradient."""

    def __init__(self, parameter: nn.Parameter) -> None:
        """Take over the (V, E) float32 `parameter`."""
        self.parameter = parameter

    @property
    def gradients(self) -> list[Tensor]:
        """The (U, E) gradient of the words of the batch."""
        if self.parameter.grad is None:
            self.parameter.grad = torch.zeros_like(self.parameter)
        return [self.parameter.grad]

    def zero_gradients(self) -> None:
        """Start the step again."""
        self.parameter.grad = None


class LazyAdamW(StepTable):
    """AdamW without weight decay over one (V, E) table; has the methods of `FlatAdamW`, and `lookup` and `begin_step`.

    During a step the network's table holds the U words of the batch alone, so the gradient is (U, E) too.
    """

    def __init__(self, parameter: nn.Parameter, *, average_decay: float) -> None:
        """Take over the (V, E) float32 `parameter`; id 0 (padding) and 1 (unknown) keep their numbers in a step."""
        super().__init__(parameter)
        self.average_decay = average_decay
        table = parameter.detach()
        self._state = torch.zeros(table.shape[0], 4, table.shape[1])  # weight, mean, square, shadow of each word
        self._state[:, _WEIGHT] = table
        self._updated = np.zeros(table.shape[0], np.int64)  # step of each word's last update
        self._step = 0
        self._moved = np.zeros((2, 1))  # S of a word last updated at step s, for each s up to now, and of its average
        self._kept = kept_after(1, average_decay)
        self._number = torch.zeros(table.shape[0], dtype=torch.int64)  # number in the batch of each word
        self._ids = torch.zeros(0, dtype=torch.int64)
        self._rows = torch.zeros(0, 4, table.shape[1])
        self.show_weights()

    def lookup(self, token_ids: Tensor) -> FoundWords:
        """Return the words of a batch; it may run beside a step, which changes nothing that this reads.

        Words beyond the table (spelled unknown words) become the unknown word.
        """
        size = len(self._updated)
        token_ids = token_ids.masked_fill(token_ids >= size, 1)
        # Marks in a (V,) table give the distinct ids in rising order faster than sorting the (B, T) ids would.
        present = torch.zeros(size, dtype=torch.bool)
        # Padding and the unknown word are always among the words, so that ids 0 and 1 keep their numbers.
        present[:2] = True
        present[token_ids.reshape(-1)] = True
        ids = present.nonzero().squeeze(1)
        # (V,) numbers are overwritten for the words of this batch only; other entries are stale and never read.
        self._number[ids] = torch.arange(len(ids))
        return FoundWords(ids, self._number[token_ids])

    def begin_step(self, words: FoundWords) -> None:
        """Begin a step: the network's table becomes the up-to-date words of the batch, in the order of their ids."""
        self._ids = words.ids
        self._rows = torch.empty(len(self._ids), *self._state.shape[1:])
        self.parameter.data = torch.empty(len(self._ids), self._state.shape[2])
        # From (V, E) to (U, E): forward and backward see no other word in this step.
        idle = self._idle_factors(words.ids)
        both(*(partial(self._fetch, part, idle[:, part]) for part in self._halves()))
        self.parameter.grad = None

    def step(self, learning_rate: float, *, skip: Tensor) -> None:
        """Update the words of the batch, unless the () float32 `skip` is 1."""
        if skip.item():
            return
        self._step += 1
        # Adam's step size, with the corrections of both moments for their start at zero in one factor.
        size = learning_rate * (1 - BETAS[1] ** self._step) ** 0.5 / (1 - BETAS[0] ** self._step)
        # First the books: every other word moves by this step without being touched, until a batch has it again.
        self._let_idle_words_move(size)
        self._updated[self._ids.numpy()] = self._step
        both(*(partial(self._update, part, size=size) for part in self._halves()))

    def _halves(self) -> tuple[slice, slice]:
        """Return the words of the batch in two parts; the second is smaller, for its thread starts later."""
        middle = round(0.57 * len(self._ids))
        return slice(middle), slice(middle, None)

    def _fetch(self, part: slice, idle: Tensor) -> None:
        """Bring a part of the words of the batch up to date, as the network reads them."""
        rows = self._up_to_date(self._ids[part], idle, out=self._rows[part])
        self.parameter.data[part] = rows[:, _WEIGHT]

    def _update(self, part: slice, *, size: float) -> None:
        """Take a step of this `size` with a part of the words of the batch."""
        weight, mean, square, shadow = self._rows[part].unbind(1)  # (U, 4, E) to four (U, E) views
        gradient = self.gradients[0][part]
        mean.lerp_(gradient, 1 - BETAS[0])
        square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        # The bias correction of the square is in the step size, so epsilon is scaled as dense Adam's would be.
        epsilon = EPSILON * (1 - BETAS[1] ** self._step) ** 0.5
        weight.addcdiv_(mean, _root(square).add_(epsilon), value=-size)
        if self.average_decay:
            shadow.lerp_(weight, 1 - self.average_decay)
        self._state[self._ids[part]] = self._rows[part]

    def _let_idle_words_move(self, size: float) -> None:
        """Account for a step of this `size` that words last updated at each earlier step make without a gradient."""
        # The tables of past steps double when they are full.
        while self._step >= self._moved.shape[1]:
            self._moved = np.concatenate([self._moved, np.zeros_like(self._moved)], axis=1)
            self._kept = kept_after(self._moved.shape[1], self.average_decay)
        # A word last updated at step s moves on by c_t (b1 / sqrt(b2))^(t - s); the oldest have come to a standstill.
        first = max(0, self._step - _MOVING_STEPS)
        self._moved[0, first : self._step] += size * _DECAYS[self._step - first - 1 :: -1]
        if self.average_decay:
            weight, shadow = self._moved[:, : self._step]
            shadow *= self.average_decay
            shadow += (1 - self.average_decay) * weight

    def _up_to_date(self, ids: Tensor, idle: Tensor, *, out: Tensor | None = None) -> Tensor:
        """Return a (U, 4, E) copy, in `out`, of the state of the words `ids` as dense AdamW would have it now."""
        return moved_on(torch.index_select(self._state, 0, ids, out=out), idle, has_average=bool(self.average_decay))

    def _idle_factors(self, ids: Tensor) -> Tensor:
        """Return (6, U, 1) float32 effects of the steps since the last update of the words `ids`; see `_up_to_date`."""
        updated = self._updated[ids.numpy()]
        # (2, U) by the step of the last update, and (4, U) by the number of idle steps since then.
        factors = np.concatenate([self._moved.take(updated, 1), self._kept.take(self._step - updated, 1)])
        return torch.from_numpy(factors.astype(np.float32)).unsqueeze(2)

    def _all_up_to_date(self) -> Tensor:
        ids = torch.arange(len(self._updated))
        self._state = self._up_to_date(ids, self._idle_factors(ids))
        self._updated[:] = self._step
        return self._state

    def show_average(self) -> None:
        """Let the network see the whole table, averaged over all steps so far."""
        state = self._all_up_to_date()
        if self.average_decay and self._step:
            self.parameter.data = state[:, _SHADOW] / (1 - self.average_decay**self._step)
        else:
            self.parameter.data = state[:, _WEIGHT].contiguous()

    def show_weights(self) -> None:
        """Let the network see the whole table as it is trained."""
        self.parameter.data = self._all_up_to_date()[:, _WEIGHT].contiguous()

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that a resumed training needs, by name."""
        moved, updated = torch.from_numpy(self._moved), torch.from_numpy(self._updated)
        return {"state": self._state, "updated": updated, "idle": moved, "steps": torch.tensor(self._step)}

    def dense_tensors(self) -> dict[str, Tensor]:
        """Return the tensors that `FlatAdamW.tensors` would have after the same steps."""
        weight, mean, square, shadow = (part.reshape(-1) for part in self._all_up_to_date().clone().unbind(1))
        return {
            "weights": weight,
            "mean": mean,
            "square": square,
            "steps": torch.tensor(float(self._step)),
            "shadow": shadow if self.average_decay else torch.empty(0),
            "num_averaged": torch.tensor(self._step if self.average_decay else 0),
        }

    def _load_dense(self, tensors: dict[str, Tensor]) -> None:
        """Take over the tensors of a `FlatAdamW` over an equally shaped table, where no word is ever idle."""
        for place, name in ((_WEIGHT, "weights"), (_MEAN, "mean"), (_SQUARE, "square"), (_SHADOW, "shadow")):
            if tensors[name].numel():
                self._state[:, place] = tensors[name].view(len(self._state), -1)
        self._step = int(tensors["steps"])
        self._updated[:] = self._step
        self._moved = np.zeros((2, self._step + 1))
        self._kept = kept_after(self._step + 1, self.average_decay)
        self.parameter.data = self._state[:, _WEIGHT].contiguous()

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over the tensors of `tensors()`, or of a `FlatAdamW`'s, of an equally shaped table."""
        if "state" not in tensors:  # a GPU wrote them
            self._load_dense(tensors)
            return
        self._state.copy_(tensors["state"])
        self._updated = tensors["updated"].numpy().copy()
        self._moved = tensors["idle"].numpy().copy()
        self._kept = kept_after(self._moved.shape[1], self.average_decay)
        self._step = int(tensors["steps"])
        self.parameter.data = self._state[:, _WEIGHT].contiguous()


def moved_on(rows: Tensor, idle: Tensor, *, has_average: bool) -> Tensor:
    """Bring the (U, 4, E) state of words up to date in place, by the (6, U, 1) effects of their idle steps."""
    weight, mean, square, shadow = rows.unbind(1)  # (U, 4, E) to four (U, E) views
    shift, shadow_shift, mean_kept, square_kept, shadow_kept, shadow_missed = idle
    # Where an idle word heads: m / v at its last update, the same for all its idle steps.
    direction = (square + EPSILON**2).rsqrt_().mul_(mean)
    # two plain passes are faster here than one addcmul that repeats a column
    if has_average:
        shadow.mul_(shadow_kept).add_(weight * shadow_missed).sub_(direction * shadow_shift)
    weight.sub_(direction.mul_(shift))
    mean.mul_(mean_kept)
    square.mul_(square_kept)
    return rows


def kept_after(num_steps: int, average_decay: float) -> np.ndarray:
    """Return (4, n) parts of mean, square and average left by 0 ... n - 1 idle steps, and what the average missed."""
    kept = np.power([[beta] for beta in (*BETAS, average_decay)], np.arange(num_steps))
    return np.concatenate([kept, 1 - kept[2:]])


def _root(squares: Tensor) -> Tensor:
    """Return the square roots; zeros, which fresh words are full of, take MKL ten times as long as other numbers."""
    return squares.clamp(min=LEAST_SQUARE).sqrt_()
