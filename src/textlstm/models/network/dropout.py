"""The dropouts of recurrent text classifiers, each with the mask shape of its paper."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def dropout(values: Tensor, probability: float) -> Tensor:
    """Return `values`, each set to zero with this `probability`, else divided by 1 - `probability`.

    On a CPU the mask equals the one that `functional.dropout` draws without MKL, and takes a third of the time.
    """
    if values.device.type != "cpu":
        return functional.dropout(values, probability)
    kept = torch.rand(values.shape, dtype=torch.float64) < 1 - probability
    return values * kept.to(values.dtype).div_(1 - probability)


class Dropout(nn.Module):
    """Dropout of single values (Srivastava et al. 2014)."""

    def __init__(self, probability: float) -> None:
        """Drop each value with this `probability` in training."""
        super().__init__()
        self.probability = probability

    def forward(self, values: Tensor) -> Tensor:
        """Return `values` of any shape, some of them zero and the others scaled up."""
        return dropout(values, self.probability) if self.training and self.probability else values


class LockedDropout(nn.Module):
    """Variational dropout: one mask of dimensions a text, the same at every time step (Gal and Ghahramani 2016)."""

    def __init__(self, probability: float) -> None:
        """Drop each dimension of a text with this `probability` in training."""
        super().__init__()
        self.probability = probability

    def forward(self, states: Tensor) -> Tensor:
        """Return (B, T, E) `states` with the dropped dimensions zero and the others scaled up."""
        if not self.training or self.probability == 0:
            return states
        # (B, 1, E): one mask for all T steps of a text.
        mask = states.new_ones(states.shape[0], 1, states.shape[2])
        return states * dropout(mask, self.probability)


def drop_words(token_ids: Tensor, probability: float, *, unknown_id: int) -> Tensor:
    """Replace each token id by the unknown word with this `probability`; padding stays padding."""
    if probability == 0:
        return token_ids
    dropped = torch.rand(token_ids.shape, device=token_ids.device) < probability
    return token_ids.masked_fill(dropped & (token_ids > 0), unknown_id)


def word_type_scale(token_ids: Tensor, probability: float, *, vocabulary_size: int) -> Tensor:
    """Return float32 factors of token ids, with a last axis of 1, that drop whole word types (Merity et al. 2018).

    All occurrences of a word have the same factor: 0 with this `probability`, else 1 / (1 - probability).
    """
    # (V,) factors of all words; token ids of any shape (...) look them up as (..., 1).
    types = dropout(torch.ones(vocabulary_size, device=token_ids.device), probability)
    return types[token_ids].unsqueeze(-1)
