"""Abstaining: which error rate can be guaranteed for accepted decisions, and how a threshold fares on other rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from textlstm.config import Task
from textlstm.evaluation.bootstrap import Interval, proportion_interval
from textlstm.evaluation.scored_rows import Booleans, Floats, Integers

# What abstaining buys: error against coverage, and how a guaranteed error rate fared on the evaluated rows.


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """Error of the most confident rows, one point for each distinct confidence."""

    threshold: NDArray[np.float64]
    """(K,) falling."""
    coverage: NDArray[np.float64]
    """(K,) part of the rows with at least that confidence."""
    risk: NDArray[np.float64]
    """(K,) part of those that is wrong."""

    @property
    def area(self) -> float:
        """Mean risk over all coverages (AURC): 0 is perfect, the overall error is what random confidences give."""
        return float((self.risk * np.diff(self.coverage, prepend=0.0)).sum())


@dataclass(frozen=True, slots=True)
class Abstention:
    """How the decisions at or above a threshold fared."""

    threshold: float
    max_error: float
    """Guaranteed largest share of wrong rows; 0 where nothing was guaranteed."""
    num_accepted: int
    num_rows: int
    error: float
    """Share of wrong rows among the accepted; 0 when none is accepted."""
    interval: Interval
    """Exact interval of that share."""

    @property
    def coverage(self) -> float:
        """Part of the rows that is accepted."""
        return self.num_accepted / self.num_rows

    @property
    def kept(self) -> bool:
        """Whether rows were accepted and the share of wrong ones is within the guarantee."""
        return self.num_accepted > 0 and self.error <= self.max_error


def decision_confidence(probabilities: Floats, predictions: Integers | Booleans, *, task: Task) -> NDArray[np.float64]:
    """Return (N,) the probability that a row's decision is right, as the model states it.

    Multi-label: the product over labels of the probability of what was decided, as if labels were independent.
    """
    match task:
        case Task.single_label:
            return probabilities[np.arange(len(predictions)), predictions].astype(np.float64)
        case Task.multi_label:
            # (N, L) probabilities of the decisions become (N,) products, as sums of logarithms.
            decided = np.where(predictions, probabilities, 1 - probabilities).astype(np.float64)
            return np.asarray(np.exp(np.log(np.clip(decided, 1e-12, 1.0)).sum(axis=1)))


def risk_coverage(confidences: Floats, correct: Booleans) -> RiskCoverage:
    """Return the curve of `correct` (N,) rows ordered by `confidences` (N,); equal confidences enter together."""
    # Most certain rows first; a point of the curve stands at the last row of each group of equal confidences.
    order = np.argsort(-confidences, kind="stable")
    ranked = confidences[order].astype(np.float64)
    last_of_ties = np.append(ranked[1:] != ranked[:-1], True)
    num_accepted = np.arange(1, len(ranked) + 1)[last_of_ties]
    num_errors = np.cumsum(~correct[order])[last_of_ties]
    return RiskCoverage(ranked[last_of_ties], num_accepted / len(ranked), num_errors / num_accepted)


def abstention(
    confidences: Floats, correct: Booleans, *, threshold: float, max_error: float, confidence: float
) -> Abstention:
    """Return how decisions with at least `threshold` fared on these rows."""
    accepted = confidences >= threshold
    num_accepted, num_errors = int(accepted.sum()), int((accepted & ~correct).sum())
    return Abstention(
        threshold=threshold,
        max_error=max_error,
        num_accepted=num_accepted,
        num_rows=len(correct),
        error=num_errors / num_accepted if num_accepted else 0.0,
        interval=proportion_interval(num_errors, num_accepted, confidence=confidence),
    )


_NUM_LEVELS = 10
_SPARE = 16
"""The first weighted level has so many rows that, without an error, the chance would be this part of the risk."""


class RiskGuarantee(NamedTuple):
    """What a threshold guarantees about new rows of the same kind as the validation rows."""

    threshold: float | None
    """Decisions with at least this probability are accepted; None: no threshold has the guarantee."""
    max_error: float
    """Accepted decisions are wrong at most this often ..."""
    confidence: float
    """... with this probability over the draw of the validation rows."""
    num_rows: int
    num_accepted: int
    num_errors: int
    """Wrong ones among the accepted validation rows."""
    coverage: float
    """Part of the validation rows, by weight, that is accepted: what to expect of new rows."""


class _Test(NamedTuple):
    """A threshold that is tested, and how it came out."""

    threshold: float
    p_value: float
    """Chance of so few errors if accepted rows were wrong more often than allowed."""
    risk: float
    """What it brings to the risk that is available."""


def find_threshold(
    confidences: Floats, correct: Booleans, *, max_error: float, confidence: float, weights: Floats | None = None
) -> RiskGuarantee:
    """Return the lowest threshold for which `max_error` can be guaranteed, from rows not used for fitting.

    Thresholds are tried from strict to lax at up to 10 levels of coverage, which depend on the confidences alone. Each
    is an exact binomial test (Clopper-Pearson) of "accepted rows are wrong more often than max_error". The levels share
    the risk 1 - confidence by the fallback procedure (Wiens 2003), a fixed-sequence test in which a rejection hands
    its share on to the next level and a miss does not end the search; so the chance that the guarantee is broken is at
    most 1 - confidence however many levels were looked at ("learn then test", Angelopoulos et al. 2021).

    With `weights` the guarantee is about rows with other class shares. The test of a level is then that of Fay and
    Feuer (1997) for directly standardized rates: the weighted errors, and one more of the largest weight, are taken
    for a gamma variable. Few rows of large weight prove little, so the first of these levels gets the whole risk
    (fixed-sequence test): it has rows enough for an error or two.

    Args:
        confidences: (N,) probability of each decision.
        correct: (N,) bool.
        max_error: largest share of wrong rows among the accepted, in (0, 1).
        confidence: in (0, 1).
        weights: (N,) importance of the rows with mean 1, as of `label_shift_weights`; None for equal.
    """
    # Choose the tests by whether the rows have weights; both go from strict to lax.
    risk = 1 - confidence
    tests = (
        _binomial_tests(confidences, correct, max_error=max_error, risk=risk)
        if weights is None
        else _weighted_tests(confidences, correct, weights, max_error=max_error, risk=risk)
    )
    # Fallback procedure: a test that passes hands the risk it had on to the next, one that fails uses it up.
    threshold, available = None, 0.0
    for test in tests:
        available += test.risk
        if test.p_value <= available:
            threshold = test.threshold
        else:
            available = 0.0
    # Describe what the threshold accepts of these rows; without a threshold it accepts none.
    accepted = confidences >= (np.inf if threshold is None else threshold)
    importance = np.ones(len(correct)) if weights is None else weights
    return RiskGuarantee(
        threshold,
        max_error,
        confidence,
        num_rows=len(correct),
        num_accepted=int(accepted.sum()),
        num_errors=int((accepted & ~correct).sum()),
        coverage=float(importance[accepted].sum() / max(importance.sum(), 1e-12)),
    )


_NUM_TRIALS = 40
"""Error rates between the wished one and 1 that are tried."""
_MOST_TIMES = 4096
"""A need of more than this many times the rows at hand is not told."""


class Shortfall(NamedTuple):
    """What stands in the way of a guarantee that the validation rows do not give."""

    max_error: float
    """The error rate that was asked for."""
    num_rows: int
    smallest_error: float | None
    """The smallest error rate that these rows guarantee, found within 3 %; None: they guarantee none."""
    rows_needed: int | None
    """About how many validation rows would guarantee `max_error`, if the errors among them stay as they are; None:
    the most certain decisions are wrong too often, so more rows of this model would not help."""

    def __str__(self) -> str:
        """Say it to the person who trains."""
        text = (
            f"evaluation.max_error={self.max_error:g} cannot be guaranteed from {self.num_rows:,} validation rows: "
            "the model has no threshold and decides every row. "
        )
        if self.smallest_error is None:
            text += "These rows guarantee no error rate. "
        else:
            text += f"The smallest error rate that they guarantee is about {self.smallest_error:.3g}. "
        if self.rows_needed is None:
            return text + "More rows alone would not help: the most certain decisions are wrong too often."
        return text + f"The one asked for needs about {self.rows_needed:,} validation rows with as few errors."


def find_shortfall(
    confidences: Floats, correct: Booleans, *, max_error: float, confidence: float, weights: Floats | None = None
) -> Shortfall:
    """Return which error rate could be guaranteed in place of `max_error`, and how many rows `max_error` needs.

    The arguments are those of `find_threshold`. The error rate returned was chosen by the same rows that were to
    guarantee it, so it says what to ask for and is no guarantee itself.
    """
    # From the wished rate towards 1 in steps of equal ratio; the first that passes is the smallest.
    smallest = next(
        (
            float(error)
            for error in np.geomspace(max_error, 0.999, _NUM_TRIALS + 1)[1:]
            if find_threshold(
                confidences, correct, max_error=float(error), confidence=confidence, weights=weights
            ).threshold
            is not None
        ),
        None,
    )
    if smallest is not None:
        smallest = _refined(smallest, confidences, correct, max_error=max_error, confidence=confidence, weights=weights)
    return Shortfall(
        max_error=max_error,
        num_rows=len(correct),
        smallest_error=smallest,
        rows_needed=_rows_needed(confidences, correct, max_error=max_error, risk=1 - confidence),
    )


def _refined(
    passing: float,
    confidences: Floats,
    correct: Booleans,
    *,
    max_error: float,
    confidence: float,
    weights: Floats | None,
) -> float:
    """Return an error rate in (max_error, passing] that passes, by bisection to 3 %."""
    failing = max_error
    while passing > 1.03 * failing:
        middle = (passing + failing) / 2
        found = find_threshold(confidences, correct, max_error=middle, confidence=confidence, weights=weights)
        if found.threshold is None:
            failing = middle
        else:
            passing = middle
    return passing


def _rows_needed(confidences: Floats, correct: Booleans, *, max_error: float, risk: float) -> int | None:
    """Return how many rows of this kind pass the exact test at one of the levels; None where none would."""
    from scipy.stats import binom

    num_rows = len(correct)
    if not num_rows:
        return None
    errors = np.cumsum(~correct[np.argsort(-confidences, kind="stable")])
    # Grow the number of rows until a level would pass, if errors came at the rate that was seen.
    for times in np.unique(np.geomspace(num_rows, num_rows * _MOST_TIMES, 240).astype(np.int64)) / num_rows:
        for share in np.linspace(1 / _NUM_LEVELS, 1.0, _NUM_LEVELS):
            accepted = max(1, int(share * num_rows))
            # Half an error more than was seen, so that few rows without a mistake are not taken for perfect.
            rate = (errors[accepted - 1] + 0.5) / (accepted + 1)
            num_tests = times * accepted
            if rate < max_error and binom.cdf(np.ceil(rate * num_tests), num_tests, max_error) <= risk / _NUM_LEVELS:
                return int(np.ceil(times * num_rows))
    return None


def _binomial_tests(confidences: Floats, correct: Booleans, *, max_error: float, risk: float) -> Iterator[_Test]:
    """Yield exact tests of rows of equal weight, from strict to lax."""
    from scipy.stats import binom

    # Each level brings an even share of the risk.
    levels = _levels(confidences, max_error=max_error, risk=risk)
    for threshold in levels:
        accepted = confidences >= threshold
        num_errors = int((accepted & ~correct).sum())
        yield _Test(threshold, float(binom.cdf(num_errors, accepted.sum(), max_error)), risk / len(levels))


def _weighted_tests(
    confidences: Floats, correct: Booleans, weights: Floats, *, max_error: float, risk: float
) -> Iterator[_Test]:
    """Yield tests of weighted rows, from strict to lax; the first brings the whole risk."""
    from scipy.stats import chi2

    if not len(confidences):
        return
    largest = float(weights.max())
    # So many rows that the first level can pass with an error or two (see `_SPARE`).
    smallest = min(int(np.ceil(largest * np.log(_SPARE / risk) / max_error)), len(confidences))
    for number, threshold in enumerate(_even_levels(confidences, smallest)):
        accepted = confidences >= threshold
        wrong = weights[accepted & ~correct]
        # Sum and variance of the weighted errors, with one more of the largest weight (Fay and Feuer).
        errors, variance = wrong.sum() + largest, (wrong**2).sum() + largest**2
        allowed = max_error * weights[accepted].sum()
        # The gamma variable with this mean and variance, written as a chi-square variable.
        p_value = float(chi2.sf(2 * allowed * errors / variance, 2 * errors**2 / variance))
        yield _Test(threshold, p_value, 0.0 if number else risk)


def _levels(confidences: Floats, *, max_error: float, risk: float) -> list[float]:
    """Thresholds to try, strict first: even steps of coverage, from the fewest rows that could prove anything."""
    smallest = int(np.ceil(np.log(risk / _NUM_LEVELS) / np.log1p(-max_error)))
    if smallest > len(confidences):
        smallest = int(np.ceil(np.log(risk) / np.log1p(-max_error)))
    if not len(confidences) or smallest > len(confidences):
        return []
    return _even_levels(confidences, smallest)


def _even_levels(confidences: Floats, smallest: int) -> list[float]:
    """Return up to 10 thresholds, falling, that accept from `smallest` rows to all."""
    # The levels depend on the confidences alone, so the errors have no say in which thresholds are tried.
    falling = np.sort(confidences)[::-1]
    num_rows = np.unique(np.linspace(smallest, len(confidences), _NUM_LEVELS).astype(np.int64))
    return [float(value) for value in np.unique(falling[num_rows - 1])[::-1]]
