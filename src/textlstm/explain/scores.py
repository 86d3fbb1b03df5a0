"""The number that attribution explains: by how much the log-odds of a label speak for it."""

import numpy as np
import torch
from torch import Tensor

from textlstm.config import Task


def log_odds(logits: Tensor, labels: Tensor, task: Task) -> Tensor:
    """Return (B,) float32: the log-odds of each text's label against all others.

    One label a text: the label's logit less the log-sum-exp of the others, so 0 means a probability of one half.
    Several labels a text: the label's own logit. With a single label in the model, its logit too.

    Args:
        logits: (B, L) of the recurrent branch.
        labels: (B,) int64 label ids.
        task: one or several labels a text.
    """
    own = logits.gather(1, labels.unsqueeze(1)).squeeze(1)
    if task is Task.multi_label or logits.shape[1] == 1:
        return own
    others = logits.scatter(1, labels.unsqueeze(1), -torch.inf)
    return own - others.logsumexp(dim=1)


def against_rest(values: np.ndarray, label: int, probabilities: np.ndarray, task: Task) -> np.ndarray:
    """Return the part of `values` (..., L) that speaks for `label`: its own less the weighted mean of the others'.

    The weights are the other labels' `probabilities` (L,), so that parts of logits become parts of log-odds, to first
    order.
    """
    own = values[..., label]
    if task is Task.multi_label or values.shape[-1] == 1:
        return np.asarray(own)
    weights = np.asarray(probabilities, dtype=np.float64).copy()
    weights[label] = 0.0
    weights = weights / weights.sum() if weights.sum() > 0 else np.full_like(weights, 1 / (len(weights) - 1))
    weights[label] = 0.0
    return np.asarray(own - values @ weights)
