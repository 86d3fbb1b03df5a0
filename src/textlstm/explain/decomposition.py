"""The cell decomposition of Murdoch and Szlam (2017): the score as an exact sum over the words in the memory.

With S_k(t) what words 1..k have left in the memory at step t, an LSTM's state is the telescoping sum over k of
o_t * (tanh(S_k(t)) - tanh(S_(k-1)(t))), the paper's gamma; a GRU's state is the plain sum of what is left. The paper
reads the last state only. Here each state counts with the gradient of the score with respect to it, which is exact for
every linear read-out (last, mean, max, max_mean without dense layer) and a local linear reading otherwise.
"""

import torch
from torch import Tensor

from textlstm.explain.traces import CellTrace, GateName


def decompose(trace: CellTrace, state_gradients: Tensor) -> Tensor | None:
    """Return (T, B) parts of the score that each step's input has through this cell, in reading order; None: RNN.

    Their sum over the steps of a text is the sum of `state_gradients` times the cell's states.

    Args:
        trace: the cell, of the last layer.
        state_gradients: (T, B, H) gradient of the score with respect to the cell's outputs, 0 at padding.
    """
    kept, entering = trace.kept, trace.entering
    if kept is None or entering is None:
        return None
    shown = trace.gates.get(GateName.output)
    left = torch.zeros_like(entering)  # what each step so far has left, summed over the steps up to it
    parts = entering.new_zeros(entering.shape[:2])
    for step in range(len(entering)):
        left[:step] *= kept[step]
        left[step] = (left[step - 1] if step else 0.0) + entering[step]
        seen = left[: step + 1]
        levels = seen if shown is None else seen.tanh()
        weights = state_gradients[step] if shown is None else state_gradients[step] * shown[step]
        weighted = torch.einsum("tbh,bh->tb", levels, weights)
        parts[: step + 1] += weighted
        parts[1 : step + 1] -= weighted[:-1]
    return parts
