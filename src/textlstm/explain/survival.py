"""How long a word stays in the memory of a cell: what its own step let in, times all later forget gates.

Both an LSTM's cell state and a GRU's state are exactly the sum over words of what is left of each: with f the share
kept and e what enters, the memory after step T is the sum over t of e_t * f_(t+1) * ... * f_T.
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from textlstm.explain.traces import CellTrace
from textlstm.models.padding import padding_mask

_LEAST = 1e-30
"""Shares below it count as this, so that their logarithm exists."""


def surviving_share(trace: CellTrace, lengths: Tensor) -> Tensor | None:
    """Return (T, B): each word's part of all that words brought in and that is left; None for a plain RNN.

    What counts is the Euclidean length, over units, of what is left of the step's `own` input; shares of a text sum
    to 1. A word that is remembered fills a few units, and one that just came touches all of them a little: their sum of
    absolute values would be the larger. A network often writes an old word into its memory anew at every step: that is
    no merit of the step's own word.
    """
    left = left_at_the_end(trace.own, trace.kept, lengths)
    if left is None:
        return None
    strength = left.square().sum(dim=2).sqrt()
    return strength / strength.sum(dim=0).clamp(min=_LEAST)


def left_at_the_end(inputs: Tensor | None, kept: Tensor | None, lengths: Tensor) -> Tensor | None:
    """Return (T, B, H) float32: what is left of each step's `inputs` when the text is read; None for a plain RNN.

    Steps of padding are 0. Of what each step lets in (`CellTrace.entering`), the sum over the steps is the last memory.
    """
    if inputs is None or kept is None:
        return None
    inside = padding_mask(lengths, len(kept)).t().unsqueeze(2)
    logs = kept.clamp(min=_LEAST).log().double() * inside  # the product of 400 gates needs more than float32
    later = logs.flip(0).cumsum(0).flip(0) - logs
    return (inputs.double() * later.exp() * inside).float()


def half_lives(kept: Sequence[np.ndarray]) -> np.ndarray:
    """Return (H,) float64 half-lives in steps of the units whose (S, H) shares `kept` are given text by text.

    It is the number of steps after which half of a unit's memory is gone at its geometric mean gate: a gate of 0.5
    gives 1 step, of 0.933 gives 10; a gate that never closes gives infinity.
    """
    mean = np.log(np.maximum(np.concatenate(kept), _LEAST), dtype=np.float64).mean(axis=0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(mean < 0, np.log(0.5) / mean, np.inf))
