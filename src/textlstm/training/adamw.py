"""Weights of the network as one flat tensor: AdamW and the moving average take a few calls, whatever the network."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class FlatAdamW:
    """AdamW (fused) with a moving average over parameters that become views of one flat tensor."""

    def __init__(self, parameters: Sequence[nn.Parameter], *, weight_decay: float, average_decay: float) -> None:
        """Move `parameters` into one tensor of P values, keeping their device and dtype (float32)."""
        self.parameters = list(parameters)
        flat = torch.cat([parameter.detach().reshape(-1) for parameter in self.parameters])
        self.flat = nn.Parameter(flat)
        self.flat.grad = torch.zeros_like(flat)
        self._point_at(self.flat.data)
        # Backward adds into views of one gradient, which clipping, sums over processes and AdamW take whole.
        for parameter, gradient in zip(self.parameters, self._pieces(self.flat.grad), strict=True):
            parameter.grad = gradient
        self.average_decay = average_decay
        self.shadow = torch.zeros_like(flat) if average_decay else torch.empty(0)
        self.num_averaged = 0
        self._weight_decay = weight_decay
        self._mean, self._square = torch.zeros_like(flat), torch.zeros_like(flat)
        self._num_steps = torch.zeros((), device=flat.device)

    @property
    def gradients(self) -> list[Tensor]:
        """The (P,) gradient, accumulated since `zero_gradients`."""
        assert self.flat.grad is not None
        return [self.flat.grad]

    def zero_gradients(self) -> None:
        """Start a new step."""
        self.gradients[0].zero_()

    def step(self, learning_rate: float, *, skip: Tensor) -> None:
        """Update the weights and their average, or nothing where the () float32 `skip` is 1; never waits for a GPU."""
        adamw(
            [self.flat.data],
            self.gradients,
            [self._mean],
            [self._square],
            [],
            [self._num_steps],
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
        if self.average_decay:
            self.shadow.lerp_(self.flat.data, 1 - self.average_decay)
            self.num_averaged += 1

    def show_average(self) -> None:
        """Let the network see the average of all steps so far, corrected for its start at zero (as Adam does)."""
        if self.num_averaged:
            self._point_at(self.shadow / (1 - self.average_decay**self.num_averaged))

    def show_weights(self) -> None:
        """Let the network see the weights that are trained."""
        self._point_at(self.flat.data)

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that a resumed training needs, by name."""
        return {
            "weights": self.flat.data,
            "mean": self._mean,
            "square": self._square,
            "steps": self._num_steps,
            "shadow": self.shadow,
            "num_averaged": torch.tensor(self.num_averaged),
        }

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over the tensors of `tensors()` of an equally shaped network."""
        self.flat.data.copy_(tensors["weights"])
        self._mean.copy_(tensors["mean"])
        self._square.copy_(tensors["square"])
        self._num_steps.copy_(tensors["steps"])
        self.shadow.copy_(tensors["shadow"])
        self.num_averaged = int(tensors["num_averaged"])

    def _point_at(self, flat: Tensor) -> None:
        for parameter, piece in zip(self.parameters, self._pieces(flat), strict=True):
            parameter.data = piece

    def _pieces(self, flat: Tensor) -> list[Tensor]:
        # (P,) to one view a parameter, in its shape
        parts = torch.split(flat, [parameter.numel() for parameter in self.parameters])
        return [part.view(parameter.shape) for part, parameter in zip(parts, self.parameters, strict=True)]
