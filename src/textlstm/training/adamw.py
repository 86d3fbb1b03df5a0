"""Weights of the network as a few flat tensors: AdamW and the moving average take a few calls, whatever the network."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from textlstm.models.network.one_piece import as_one_piece, split_as

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class FlatAdamW:
    """AdamW (fused) with a moving average over parameters that become views of flat tensors, one a group."""

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        *,
        weight_decay: float,
        average_decay: float,
        groups: Sequence[Sequence[nn.Parameter]] = (),
    ) -> None:
        """Move `parameters` (float32, P values) into one tensor a group, on their device.

        Args:
            parameters: all of them, in the order in which `tensors` lists their values.
            weight_decay: decoupled.
            average_decay: of the moving average; 0 means none.
            groups: parameters that shall lie in one piece; the rest forms one more group. Without groups: one tensor.
        """
        self.parameters = list(parameters)
        grouped = {id(parameter) for group in groups for parameter in group}
        rest = [parameter for parameter in self.parameters if id(parameter) not in grouped]
        self.groups = [group for group in (*map(list, groups), rest) if group]
        """Parameters that lie in one piece each."""
        self.average_decay = average_decay
        self.num_averaged = 0
        self._weight_decay = weight_decay
        # Each group is one flat tensor of its weights; average, mean and square are equally long and start at zero.
        self._flats = [_flat(group) for group in self.groups]
        self._shadows, self._means, self._squares = ([torch.zeros_like(flat) for flat in self._flats] for _ in range(3))
        # Counters on the device: torch takes a step off again that `found_inf` made the fused kernel skip.
        self._num_steps = [torch.zeros((), device=flat.device) for flat in self._flats]
        self._gradients: dict[int, Tensor] = {}
        # From here on the parameters of the network are views of the flat tensors.
        self._point_at(self._flats)

    @property
    def gradients(self) -> list[Tensor]:
        """The flat gradient of each group, accumulated since `zero_gradients`."""
        return [self.gradient_of(number) for number in range(len(self.groups))]

    def gradient_of(self, number: int) -> Tensor:
        """Return the flat gradient of one group."""
        # Backward hands over a gradient a parameter; they are put side by side at the first call of a step.
        if number not in self._gradients:
            self._gradients[number] = _flat_gradient(self.groups[number])
        return self._gradients[number]

    def set_gradient(self, number: int, gradient: Tensor) -> None:
        """Let a step take this flat gradient of a group, such as a sum over processes."""
        self._gradients[number] = gradient

    def zero_gradients(self) -> None:
        """Start a new step."""
        self._gradients = {}
        for parameter in self.parameters:
            parameter.grad = None

    def step(self, learning_rate: float | Tensor, *, skip: Tensor) -> None:
        """Update the weights and their average, or nothing where the () float32 `skip` is 1; never waits for a GPU.

        A () tensor as the learning rate is read when the GPU takes the step, so that a captured step can be repeated.
        """
        adamw(
            self._flats,
            self.gradients,
            self._means,
            self._squares,
            [],
            self._num_steps,
            fused=True,
            found_inf=skip,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=learning_rate,
            weight_decay=self._weight_decay,
            eps=EPSILON,
            maximize=False,
        )
        # On a CPU a skipped step counts in no average, as in `LazyAdamW`. A GPU, which must not wait to know, lets it
        # count once more with the weights as they were, here and for the word table alike.
        if self.average_decay and not (skip.device.type == "cpu" and skip.item()):
            torch._foreach_lerp_(self._shadows, self._flats, 1 - self.average_decay)
            self.count_average(1)

    def count_average(self, number: int) -> None:
        """Count further steps that went into the average; of a captured step, which the host does not see."""
        if self.average_decay:
            self.num_averaged += number

    def show_average(self) -> None:
        """Let the network see the average of all steps so far, corrected for its start at zero (as Adam does)."""
        if self.num_averaged:
            self._point_at([shadow / (1 - self.average_decay**self.num_averaged) for shadow in self._shadows])

    def show_weights(self) -> None:
        """Let the network see the weights that are trained."""
        self._point_at(self._flats)

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that a resumed training needs, by name, in the order of the parameters."""
        return {
            "weights": self._in_order(self._flats),
            "mean": self._in_order(self._means),
            "square": self._in_order(self._squares),
            "steps": self._num_steps[0],
            "shadow": self._in_order(self._shadows) if self.average_decay else torch.empty(0),
            "num_averaged": torch.tensor(self.num_averaged),
        }

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over the tensors of `tensors()` of an equally shaped network, from any device."""
        # A checkpoint has the order of the parameters, not of the groups: a CPU and a GPU group them differently.
        values = {"weights": self._flats, "mean": self._means, "square": self._squares}
        if self.average_decay:
            values["shadow"] = self._shadows
        # (P,) values of the file to one view a parameter, copied into the flat tensors in place.
        for name, flats in values.items():
            for piece, value in zip(
                self._views(flats),
                split_as(tensors[name], [parameter.shape for parameter in self.parameters]),
                strict=True,
            ):
                piece.copy_(value)
        for num_steps in self._num_steps:
            num_steps.copy_(tensors["steps"])
        self.num_averaged = int(tensors["num_averaged"])

    def _point_at(self, flats: Sequence[Tensor]) -> None:
        for parameter, view in zip(self.parameters, self._views(flats), strict=True):
            parameter.data = view

    def _views(self, flats: Sequence[Tensor]) -> list[Tensor]:
        """Return the part of each parameter, in their order, in one flat tensor a group."""
        found: dict[int, Tensor] = {}
        for group, flat in zip(self.groups, flats, strict=True):
            found |= {
                id(parameter): view
                for parameter, view in zip(group, split_as(flat, [parameter.shape for parameter in group]), strict=True)
            }
        return [found[id(parameter)] for parameter in self.parameters]

    def _in_order(self, flats: Sequence[Tensor]) -> Tensor:
        """Return (P,) the values of all parameters, in their order."""
        return flats[0] if len(flats) == 1 else torch.cat([view.reshape(-1) for view in self._views(flats)])


def _flat(parameters: Sequence[nn.Parameter]) -> Tensor:
    return torch.cat([parameter.detach().reshape(-1) for parameter in parameters])


def _flat_gradient(parameters: Sequence[nn.Parameter]) -> Tensor:
    """Return the gradients of a group as one tensor, without a copy where they already lie in one piece."""
    # A parameter without a gradient counts as zeros, so that all groups keep their length.
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    piece = as_one_piece(gradients)
    return torch.cat([gradient.reshape(-1) for gradient in gradients]) if piece is None else piece
