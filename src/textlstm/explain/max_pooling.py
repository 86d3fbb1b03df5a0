"""With max pooling: which word won which unit, and what that did for the decision."""

from typing import NamedTuple

import numpy as np

from textlstm.config import Pooling
from textlstm.explain.attribution import ReadOut
from textlstm.explain.gates import Direction, EncoderTrace
from textlstm.models.network.encoders import padding_mask
from textlstm.models.network.network import TextNetwork


class MaxPoolWins(NamedTuple):
    """The maxima of one text of S steps, all units of the last layer and both directions together."""

    units: np.ndarray
    """(S,) int64: of how many units each step has the maximum (the first step, where several tie)."""
    effects: np.ndarray
    """(S,) float32: what those maxima put into the log-odds."""


def count_max_pool_wins(network: TextNetwork, trace: EncoderTrace, reading: ReadOut) -> list[MaxPoolWins] | None:
    """Return the wins of each text of the batch; None where the network has no max pooling."""
    if network.pool.pooling not in (Pooling.max, Pooling.max_mean):
        return None
    lengths = trace.encoded.lengths
    num_steps = trace.encoded.forward_states.shape[0]
    inside = padding_mask(lengths, num_steps).t().unsqueeze(2)
    # Each direction owns a run of H pooled features; `begin` moves along them.
    begin = 0
    units = np.zeros((len(lengths), num_steps), dtype=np.int64)
    effects = np.zeros((len(lengths), num_steps), dtype=np.float32)
    places = (Direction.forwards, Direction.backwards)
    for states, direction in zip(trace.encoded.directions, places, strict=False):
        largest = states.masked_fill(~inside, -2.0).argmax(dim=0)  # (B, H), states lie in (-1, 1)
        # A backward cell counts steps from the end of the text.
        if direction is Direction.backwards:
            largest = (lengths.unsqueeze(1) - 1 - largest).clamp(min=0)
        features = slice(begin, begin + states.shape[2])  # the maxima come first among the pooled features
        parts = (reading.pooled[:, features] * reading.pooled_gradient[:, features]).cpu().numpy()
        texts = np.arange(len(lengths))[:, None]
        # Several units may have their maximum at the same step; plain indexing would count only one of them.
        np.add.at(units, (texts, largest.cpu().numpy()), 1)
        np.add.at(effects, (texts, largest.cpu().numpy()), parts)
        begin += states.shape[2]
    return [MaxPoolWins(units[text, :length], effects[text, :length]) for text, length in enumerate(lengths.tolist())]


def unit_effects(trace: EncoderTrace, reading: ReadOut) -> np.ndarray:
    """Return (B, D, H) float32: gradient times value of the pooled features, summed over those of the same unit."""
    num_directions, size = len(trace.encoded.directions), trace.encoded.forward_states.shape[2]
    # (B, P) become (B, kinds of pooling, D, H); the sum over the kinds leaves (B, D, H).
    parts = (reading.pooled * reading.pooled_gradient).view(len(reading.pooled), -1, num_directions, size)
    return np.asarray(parts.sum(dim=1).cpu().numpy())
