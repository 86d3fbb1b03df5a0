"""AdamW and the moving average of a large word table on a GPU, at the cost of the words of the batch.

Words that are not in a batch move as `LazyAdamW` describes. Here the host must not wait for the GPU, and a step may be
captured, so that all counts lie on the device and shapes depend on the size of the batch alone: the table of a step has
as many places as the batch has cells, and those that are left over hold a row that no word has. Steps are counted in
windows, at the end of which the whole table is brought up to date.
"""

import torch
from torch import Tensor, nn

from textlstm.training.adamw import BETAS, EPSILON
from textlstm.training.lazy_adamw import DECAY, LEAST_SQUARE, FoundWords, StepTable, kept_after, moved_on

WINDOW = 256
"""Steps after which the whole table is brought up to date: a pass over it costs what one dense step does."""
_FEWEST_VALUES = 32_000_000
"""A smaller table is updated whole in less time than the words of a batch are found, looked up and written back."""
_FEWEST_WORDS = 4
"""Words of a table for each token of a batch; with fewer, half of the table would be looked up."""
_WEIGHT, _MEAN, _SQUARE, _SHADOW = range(4)


def pays(table: Tensor, *, batch_tokens: int) -> bool:
    """Return whether the words of batches of so many tokens are updated sooner than the whole (V, E) `table`."""
    return table.numel() >= _FEWEST_VALUES and len(table) >= _FEWEST_WORDS * batch_tokens


class SparseAdamW(StepTable):
    """AdamW without weight decay over one (V, E) table on a GPU; has the methods of `LazyAdamW`, and `end_step`.

    During a step the network's table has U rows, the words of the batch and left-over places.
    """

    def __init__(self, parameter: nn.Parameter, *, average_decay: float) -> None:
        """Take over the (V, E) float32 `parameter`; id 0 (padding) and 1 (unknown) keep their numbers in a step."""
        super().__init__(parameter)
        self.average_decay = average_decay
        table, device = parameter.detach(), parameter.device
        # (V + 1, 4, E) weight, mean, square, shadow of each word; the last row is that of left-over places.
        self._state = torch.zeros(len(table) + 1, 4, table.shape[1], device=device)
        self._state[:-1, _WEIGHT] = table
        self._numbers = torch.arange(len(table), device=device)
        # Of the window: steps so far, the step of each word's last update, and S of `LazyAdamW` by such a step.
        self._now = torch.zeros((), dtype=torch.int64, device=device)
        self._updated = torch.zeros(len(table) + 1, dtype=torch.int64, device=device)
        self._moved = torch.zeros(2, WINDOW + 1, dtype=torch.float64, device=device)
        self._num_launched = 0
        # Of all steps: their number, and the decays of mean and square to its power.
        self._num_steps = torch.zeros((), device=device)
        self._powers = torch.ones(2, dtype=torch.float64, device=device)
        # Constants, for steps of a window.
        self._betas = torch.tensor(BETAS, dtype=torch.float64).to(device)
        self._kept = torch.from_numpy(kept_after(WINDOW + 1, average_decay)).to(device)
        self._decays = (DECAY ** torch.arange(WINDOW + 1, dtype=torch.float64)).to(device)
        self._steps = torch.arange(WINDOW + 1, device=device)
        self._ids = torch.zeros(0, dtype=torch.int64, device=device)
        self._rows = self._state[:0]
        self.show_weights()

    def lookup(self, token_ids: Tensor) -> FoundWords:
        """Return the words of a batch, in a number of places that follows from its size; the host does not wait.

        Words beyond the table (spelled unknown words) become the unknown word.
        """
        size = len(self._numbers)
        num_places = min(token_ids.numel() + 2, size)
        token_ids = token_ids.masked_fill(token_ids >= size, 1)
        # (V,) marks of the words, of which padding and the unknown word always are two; the sum numbers them.
        present = torch.zeros(size, dtype=torch.bool, device=token_ids.device)
        present[:2] = True
        present.index_fill_(0, token_ids.reshape(-1), True)
        numbers = present.cumsum(0) - 1
        # (U + 1,) ids by number; words that are not in the batch all go to the last place, which is cut off.
        ids = torch.full((num_places + 1,), size, device=token_ids.device)
        ids.scatter_(0, torch.where(present, numbers, num_places), self._numbers)
        return FoundWords(ids[:-1], numbers[token_ids])

    def begin_step(self, words: FoundWords) -> None:
        """Begin a step: the network's table becomes the up-to-date words of the batch, in the order of their ids."""
        self._ids = words.ids
        rows = self._state.index_select(0, words.ids)  # (V + 1, 4, E) to (U, 4, E)
        self._rows = self._up_to_date(rows, self._updated[words.ids])
        self.parameter.data = self._rows[:, _WEIGHT].contiguous()
        self.parameter.grad = None

    def step(self, learning_rate: float | Tensor, *, skip: Tensor) -> None:
        """Update the words of the batch, unless the () float32 `skip` is 1; never waits for the GPU."""
        is_taken = skip == 0
        self._now += is_taken
        self._num_steps += is_taken
        # Adam's step size as a () tensor, with the corrections of both moments for their start at zero in one factor.
        self._powers *= torch.where(is_taken, self._betas, 1.0)
        mean_missing, square_missing = (1 - self._powers).unbind()
        root = square_missing.sqrt()
        size = learning_rate * root / mean_missing
        self._let_idle_words_move(size, is_taken)
        # Whatever a step gives that is left out, NaN too, is not written.
        rows = torch.where(is_taken, self._next_rows(size, EPSILON * root), self._rows)
        self._state.index_copy_(0, self._ids, rows)
        self._updated.index_copy_(0, self._ids, self._now.expand(len(self._ids)))

    def end_step(self) -> None:
        """Count a step, captured or not; at the end of a window the whole table is brought up to date."""
        self._num_launched += 1
        if self._num_launched == WINDOW:
            self._bring_all_up_to_date()

    def _next_rows(self, size: Tensor, epsilon: Tensor) -> Tensor:
        """Return the (U, 4, E) state of the words of the batch after a step of this `size`."""
        weight, mean, square, shadow = self._rows.unbind(1)  # (U, 4, E) to four (U, E)
        gradient = self.gradients[0]
        mean = torch.lerp(mean, gradient, 1 - BETAS[0])
        square = torch.addcmul(square * BETAS[1], gradient, gradient, value=1 - BETAS[1])
        weight = weight - mean / (square.clamp(min=LEAST_SQUARE).sqrt() + epsilon) * size
        if self.average_decay:
            shadow = torch.lerp(shadow, weight, 1 - self.average_decay)
        return torch.stack([weight, mean, square, shadow], dim=1)

    def _let_idle_words_move(self, size: Tensor, is_taken: Tensor) -> None:
        """Account for a step that words last updated at each earlier step of the window make without a gradient."""
        idle = self._now - self._steps  # (W + 1,) steps since then
        is_earlier = (idle > 0) & is_taken
        weight, shadow = self._moved
        weight += torch.where(is_earlier, size * self._decays[idle.clamp(min=0)], 0.0)
        if self.average_decay:
            shadow.copy_(torch.where(is_earlier, torch.lerp(weight, shadow, self.average_decay), shadow))

    def _up_to_date(self, rows: Tensor, updated: Tensor) -> Tensor:
        """Bring (U, 4, E) `rows`, last updated at the (U,) steps `updated` of the window, up to date in place."""
        # (6, U, 1) effects of the steps since then, as `LazyAdamW` has them.
        effects = torch.cat([self._moved[:, updated], self._kept[:, self._now - updated]]).float().unsqueeze(2)
        return moved_on(rows, effects, has_average=bool(self.average_decay))

    def _bring_all_up_to_date(self) -> None:
        """Begin a new window."""
        self._up_to_date(self._state, self._updated)
        for counts in (self._updated, self._moved, self._now):
            counts.zero_()
        self._num_launched = 0

    def show_average(self) -> None:
        """Let the network see the whole table, averaged over all steps so far; waits for the GPU."""
        num_steps = int(self._num_steps)
        if not self.average_decay or not num_steps:
            self.show_weights()
            return
        self._show(_SHADOW, 1 - self.average_decay**num_steps)

    def show_weights(self) -> None:
        """Let the network see the whole table as it is trained."""
        self._show(_WEIGHT, 1.0)

    def _show(self, place: int, divisor: float) -> None:
        self._bring_all_up_to_date()
        # The gradient of a step has the shape of its table, and goes with it.
        self.parameter.grad = None
        self.parameter.data = self._state[:-1, place] / divisor

    def tensors(self) -> dict[str, Tensor]:
        """Return what `FlatAdamW.tensors` would return, of a copy that is up to date."""
        # The state itself stays as it is: when a checkpoint is written changes no later weight.
        rows = self._up_to_date(self._state.clone(), self._updated)[:-1]
        weight, mean, square, shadow = (part.reshape(-1) for part in rows.unbind(1))
        return {
            "weights": weight,
            "mean": mean,
            "square": square,
            "steps": self._num_steps,
            "shadow": shadow if self.average_decay else torch.empty(0),
            "num_averaged": self._num_steps if self.average_decay else torch.tensor(0),
        }

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over the tensors of `tensors()`, or of a `FlatAdamW`'s, of an equally shaped table, from any device."""
        for place, name in ((_WEIGHT, "weights"), (_MEAN, "mean"), (_SQUARE, "square"), (_SHADOW, "shadow")):
            if tensors[name].numel():
                self._state[:-1, place] = tensors[name].view(len(self._numbers), -1).to(self._state.device)
        for counts in (self._updated, self._moved, self._now):
            counts.zero_()
        self._num_launched = 0
        self._num_steps.copy_(tensors["steps"])
        self._powers.copy_(self._betas ** int(tensors["steps"]))
        self.show_weights()
