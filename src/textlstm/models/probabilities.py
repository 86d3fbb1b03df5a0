"""From logits to probabilities, of one network or the mean of several."""

from collections.abc import Sequence

import numpy as np

from textlstm.config import Task

_SMALLEST = 1e-12
"""Of a probability whose logarithm is taken."""


def mean_logits(logits: Sequence[np.ndarray], task: Task) -> np.ndarray:
    """Return the log (or logit) of the mean probability of several networks, (N, L) float32."""
    if len(logits) == 1:
        return logits[0]
    mean = np.mean([to_probabilities(values, task) for values in logits], axis=0)
    mean = np.clip(mean, _SMALLEST, 1.0)
    if task is Task.multi_label:
        return np.asarray(np.log(mean) - np.log1p(-np.minimum(mean, 1 - 1e-7)), dtype=np.float32)
    return np.asarray(np.log(mean), dtype=np.float32)


def to_probabilities(logits: np.ndarray, task: Task) -> np.ndarray:
    """Return softmax (single label) or sigmoid (multi-label) of (N, L) logits as float32."""
    wide = logits.astype(np.float64)
    if task is Task.multi_label:
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(wide, -700, 700))), dtype=np.float32)
    wide = np.exp(wide - wide.max(axis=1, keepdims=True))
    return np.asarray(wide / wide.sum(axis=1, keepdims=True), dtype=np.float32)
