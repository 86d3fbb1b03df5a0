"""How the learning rate moves, as a function of the part of the training that is done."""

import math
from typing import assert_never

from textlstm.config import Schedule

_ONE_CYCLE_START = 1 / 25
_ONE_CYCLE_END = 1 / 250_000


def learning_rate_factor(schedule: Schedule, progress: float, *, warmup_fraction: float) -> float:
    """Return the part of the peak learning rate to use when `progress` in [0, 1] of all rows were seen.

    `constant` and `cosine` rise linearly from 0 during the warm-up; `one_cycle` rises by half a cosine from 1/25
    (Smith and Topin 2018, with the shape of fast.ai) and ends at 1/250,000.
    """
    if progress < warmup_fraction:
        risen = progress / warmup_fraction
        return _between(_ONE_CYCLE_START, 1.0, risen) if schedule is Schedule.one_cycle else risen
    fallen = (progress - warmup_fraction) / (1 - warmup_fraction)
    match schedule:
        case Schedule.constant:
            return 1.0
        case Schedule.cosine:
            return _between(1.0, 0.0, fallen)
        case Schedule.one_cycle:
            return _between(1.0, _ONE_CYCLE_END, fallen)
        case _:
            assert_never(schedule)


def _between(first: float, last: float, part: float) -> float:
    """Go from `first` to `last` along half a cosine."""
    return last + (first - last) * (1 + math.cos(math.pi * part)) / 2
