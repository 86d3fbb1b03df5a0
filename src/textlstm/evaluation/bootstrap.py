"""Bootstrap: resamples of the rows as weights, and the interval that a statistic's replicates give."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_CELLS_PER_BLOCK = 2_000_000
_KEPT_CELLS = 30_000_000
"""Rows times resamples up to which the draws are kept: each model counts on the same ones, about nine times in all."""
_NO_WIDTH = 1e-12
"""Intervals that are narrower come of resamples that are all equal."""


class Interval(NamedTuple):
    """Where the true value lies with the configured confidence."""

    low: float
    high: float

    def contains(self, value: float) -> bool:
        """Return whether `value` lies inside, ends included."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Resamples:
    """`num_samples` draws of N rows with replacement; the same seed gives the same draws to every model.

    So the difference of two models' replicates is a paired bootstrap.
    """

    num_rows: int
    num_samples: int
    seed: int
    confidence: float = 0.95
    _kept: list[NDArray[np.uint16]] = field(default_factory=list, init=False, repr=False, compare=False)

    def blocks(self) -> Iterator[NDArray[np.float64]]:
        """Yield blocks (b, N) of how often each row was drawn, `num_samples` in all; each sums to N."""
        if self.num_rows * self.num_samples > _KEPT_CELLS:
            yield from map(_as_weights, self._drawn())
            return
        if not self._kept:
            self._kept.extend(block.astype(np.uint16) for block in self._drawn())
        yield from map(_as_weights, self._kept)

    def _drawn(self) -> Iterator[NDArray[np.int64]]:
        generator = np.random.Generator(np.random.PCG64(self.seed))
        # A block holds a limited number of cells, however many rows there are.
        block_size = max(1, min(self.num_samples, _CELLS_PER_BLOCK // max(self.num_rows, 1)))
        for start in range(0, self.num_samples, block_size):
            size = min(block_size, self.num_samples - start)
            drawn = generator.integers(0, self.num_rows, size=(size, self.num_rows))
            # Each resample counts in a range of its own, so one call counts all of them: (b * N,) become (b, N).
            drawn += np.arange(size)[:, None] * self.num_rows
            counts = np.bincount(drawn.ravel(), minlength=size * self.num_rows)
            yield counts.reshape(size, self.num_rows)

    def interval(
        self,
        replicates: NDArray[np.float64],
        point: float,
        *,
        lowest: float = 0.0,
        highest: float = 1.0,
        effective_rows: float | None = None,
    ) -> Interval:
        """Return the percentile interval of `replicates` (B,), moved so that their median falls on `point`.

        The move takes away the bootstrap's own bias: figures averaged over rare classes drop out of resamples, and
        repeated rows flatter average precision. In simulations with 60 classes the plain percentile interval of
        macro F1 held the truth in 68 % of the cases, the moved one in 90 %; elsewhere they agree.

        Args:
            replicates: the statistic on each resample; undefined ones (NaN) are left out.
            point: the statistic on the rows themselves.
            lowest: least possible value of the statistic.
            highest: greatest possible value.
            effective_rows: where all replicates are equal (every row right), the resamples know no doubt: the figure is
                then taken for a share of this many rows, and the interval is the exact one. None: all rows.
        """
        defined = replicates[np.isfinite(replicates)]
        if not defined.size or not np.isfinite(point):
            return Interval(float("nan"), float("nan"))
        # The percentile interval, moved by the distance of its median from the point.
        tail = (1 - self.confidence) / 2
        low, middle, high = np.quantile(defined, (tail, 0.5, 1 - tail))
        if high - low < _NO_WIDTH and np.isfinite(highest):
            return self._exact(point, lowest=lowest, highest=highest, num_rows=effective_rows or self.num_rows)
        ends = np.clip([low - middle + point, high - middle + point], lowest, highest)
        return Interval(float(ends[0]), float(ends[1]))

    def _exact(self, point: float, *, lowest: float, highest: float, num_rows: float) -> Interval:
        # Map the figure to a share in [0, 1], take the exact interval, and map its ends back.
        span = highest - lowest
        share = min(max((point - lowest) / span, 0.0), 1.0)
        low, high = proportion_interval(share * num_rows, num_rows, confidence=self.confidence)
        return Interval(lowest + span * low, lowest + span * high)


def proportion_interval(num_hits: float, num_trials: float, *, confidence: float) -> Interval:
    """Return the exact (Clopper-Pearson) interval of a share; (0, 1) when there were no trials. Both may be fractions.

    Example: 0 hits in 10 trials at 0.95 give (0, 0.3085).
    """
    from scipy.stats import beta

    if num_trials == 0:
        return Interval(0.0, 1.0)
    tail = (1 - confidence) / 2
    low = 0.0 if num_hits <= 0 else float(beta.ppf(tail, num_hits, num_trials - num_hits + 1))
    high = 1.0 if num_hits >= num_trials else float(beta.ppf(1 - tail, num_hits + 1, num_trials - num_hits))
    return Interval(low, high)


def _as_weights(block: NDArray[np.integer]) -> NDArray[np.float64]:
    return block.astype(np.float64)
