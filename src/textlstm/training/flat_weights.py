"""Weights of the network as one flat tensor: AdamW and the moving average take a few calls, whatever the network."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class FlatWeights:
    """AdamW (fused) with a moving average over parameters that become views of one flat tensor."""

    def __init__(self, parameters: Sequence[nn.Parameter], *, weight_decay: float, average_decay: float) -> None:
        """Move `parameters` into one tensor of P values, keeping their device and dtype (float32)."""
        self.parameters = list(parameters)
        flat = torch.cat([parameter.detach().reshape(-1) for parameter in self.parameters])
        self.flat = nn.Parameter(flat)
        self.flat.grad = torch.zeros_like(flat)
        self._point_at(self.flat.data)
        for parameter, gradient in zip(self.parameters, self._pieces(self.flat.grad), strict=True):
            parameter.grad = gradient
        self.average_decay = average_decay
        self.shadow = torch.zeros_like(flat) if average_decay else torch.empty(0)
        self.num_averaged = 0
        self._adam = torch.optim.AdamW(
            [self.flat], lr=0.0, betas=BETAS, eps=EPSILON, weight_decay=weight_decay, fused=True
        )

    def enter(self, token_ids: Tensor) -> Tensor:
        """Return the ids under which the network finds the words of a batch: `token_ids` themselves."""
        return token_ids

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
        self._adam.param_groups[0]["lr"] = learning_rate
        self._adam.found_inf = skip  # type: ignore[attr-defined]  # what torch.amp.GradScaler sets, read by fused AdamW
        self._adam.step()
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
        state = self._adam.state[self.flat]
        moments = {"mean": state["exp_avg"], "square": state["exp_avg_sq"], "steps": state["step"]} if state else {}
        count = torch.tensor(self.num_averaged)
        return {"weights": self.flat.data, "shadow": self.shadow, "num_averaged": count, **moments}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over the tensors of `tensors()` of an equally shaped network."""
        self.flat.data.copy_(tensors["weights"])
        self.shadow.copy_(tensors["shadow"])
        self.num_averaged = int(tensors["num_averaged"])
        if "mean" in tensors:
            device = self.flat.device
            moments = {"exp_avg": tensors["mean"], "exp_avg_sq": tensors["square"], "step": tensors["steps"]}
            self._adam.state[self.flat] = {name: value.clone().to(device) for name, value in moments.items()}

    def _point_at(self, flat: Tensor) -> None:
        for parameter, piece in zip(self.parameters, self._pieces(flat), strict=True):
            parameter.data = piece

    def _pieces(self, flat: Tensor) -> list[Tensor]:
        parts = torch.split(flat, [parameter.numel() for parameter in self.parameters])
        return [part.view(parameter.shape) for part, parameter in zip(parts, self.parameters, strict=True)]
