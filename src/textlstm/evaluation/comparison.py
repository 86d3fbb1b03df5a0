"""Who wins, on the same rows, and whether the difference is beyond chance."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from textlstm.evaluation.bootstrap import Interval, Resamples, proportion_interval
from textlstm.evaluation.metrics import Metrics
from textlstm.evaluation.scored_rows import Booleans
from textlstm.figure_text import fixed


class Verdict(StrEnum):
    """Outcome for the model, against an opponent."""

    better = "better"
    worse = "worse"
    equal = "equal"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The model against one opponent on the same rows."""

    opponent: str
    metric: str
    """The figure that decides: accuracy; multi-label: micro_f1."""
    value: float
    opponent_value: float
    interval: Interval
    """Paired bootstrap interval of value - opponent_value."""
    macro_f1_difference: float
    macro_f1_interval: Interval
    num_won: int
    """Rows that only the model has right."""
    num_lost: int
    """Rows that only the opponent has right."""
    p_value: float
    """Exact McNemar test of num_won against num_lost."""
    bootstrap_p_value: float
    """Two-sided p-value of the difference of `metric`, from the paired bootstrap behind its interval."""
    verdict: Verdict
    confidence: float

    @property
    def difference(self) -> float:
        """How much the model is ahead; negative: behind."""
        return self.value - self.opponent_value

    @property
    def sentence(self) -> str:
        """The outcome in words."""
        name = self.metric.replace("_", " ").replace("f1", "F1")
        points = f"{fixed(abs(self.difference) * 100, 2)} points of {name}"
        match self.verdict:
            case Verdict.better:
                outcome = f"The model beats {self.opponent} by {points}; the difference is beyond chance"
            case Verdict.worse:
                outcome = f"The model loses to {self.opponent} by {points}; the difference is beyond chance"
            case Verdict.equal if self.difference == 0 and self.num_won == self.num_lost == 0:
                outcome = f"The model and {self.opponent} are right on the same rows"
            case Verdict.equal:
                ahead = "ahead of" if self.difference > 0 else "level with" if self.difference == 0 else "behind"
                outcome = f"The model is {points} {ahead} {self.opponent}; that is within chance"
        low, high = (fixed(end * 100, 2, sign=True) for end in self.interval)
        # The test is one of the figure that the interval is of: rows won and lost are about accuracy.
        test = f"rows won {self.num_won}, lost {self.num_lost}, McNemar p {format_p_value(self.p_value)}"
        if self.metric != "accuracy":
            test = f"paired bootstrap p {format_p_value(self.bootstrap_p_value)}"
        return f"{outcome} ({self.confidence:.0%} interval {low} to {high}; {test})."


def compare(
    metrics: Metrics,
    opponent_metrics: Metrics,
    *,
    opponent: str,
    correct: Booleans,
    opponent_correct: Booleans,
    resamples: Resamples,
) -> Comparison:
    """Test the model against an opponent by paired bootstrap and McNemar.

    Single-label models win or lose when both tests say so; multi-label ones by the bootstrap of micro F1, since
    McNemar's test sees whole rows only.

    Args:
        metrics: the model's figures.
        opponent_metrics: the opponent's, from the same resamples.
        opponent: its name in a sentence.
        correct: (N,) rows the model has right.
        opponent_correct: (N,) rows the opponent has right.
        resamples: the draws behind both.
    """
    # Count the rows that only one of the two has right, and test whether chance explains the difference.
    multi_label = "subset_accuracy" in metrics.values
    metric = "micro_f1" if multi_label else "accuracy"
    num_won, num_lost = int((correct & ~opponent_correct).sum()), int((opponent_correct & ~correct).sum())
    p_value = mcnemar_p_value(num_won, num_lost)
    interval = _difference_interval(metrics, opponent_metrics, metric=metric, resamples=resamples)
    if num_won == num_lost == 0 and not multi_label:
        # Resamples of rows on which both agree know no doubt; rows on which they would differ may be as rare as this.
        rarest = proportion_interval(0, resamples.num_rows, confidence=resamples.confidence).high
        interval = Interval(-rarest, rarest)
    # The verdict needs the interval and, with one label a row, McNemar's test as well.
    decided = not interval.contains(0.0) and (multi_label or p_value < 1 - resamples.confidence)
    difference = metrics.values[metric] - opponent_metrics.values[metric]
    verdict = Verdict.equal if not decided else Verdict.better if difference > 0 else Verdict.worse
    return Comparison(
        opponent=opponent,
        metric=metric,
        value=metrics.values[metric],
        opponent_value=opponent_metrics.values[metric],
        interval=interval,
        macro_f1_difference=metrics.values["macro_f1"] - opponent_metrics.values["macro_f1"],
        macro_f1_interval=_difference_interval(metrics, opponent_metrics, metric="macro_f1", resamples=resamples),
        num_won=num_won,
        num_lost=num_lost,
        p_value=p_value,
        bootstrap_p_value=_bootstrap_p_value(metrics, opponent_metrics, metric=metric),
        verdict=verdict,
        confidence=resamples.confidence,
    )


def mcnemar_p_value(num_won: int, num_lost: int) -> float:
    """Return the two-sided exact McNemar p-value: a fair coin tossed for each row that only one has right.

    Example: 1 won, 9 lost give 0.0215 (2 * 11 / 1024).
    """
    from scipy.stats import binomtest

    if num_won + num_lost == 0:
        return 1.0
    return float(binomtest(num_won, num_won + num_lost, 0.5).pvalue)


def format_p_value(value: float) -> str:
    """Return "= 0.012" or "< 0.001"."""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _difference_interval(metrics: Metrics, other: Metrics, *, metric: str, resamples: Resamples) -> Interval:
    # Both models were scored on the same resamples, so the difference of replicates is paired.
    replicates = np.asarray(metrics.replicates[metric] - other.replicates[metric])
    point = metrics.values[metric] - other.values[metric]
    return resamples.interval(replicates, point, lowest=-1.0, highest=1.0)


def _bootstrap_p_value(metrics: Metrics, other: Metrics, *, metric: str) -> float:
    """Return twice the share of resamples on the other side of zero, one more counted, at most 1."""
    differences = np.asarray(metrics.replicates[metric] - other.replicates[metric])
    differences = differences[np.isfinite(differences)]
    # One more is counted, so that no finite number of resamples gives a p-value of 0.
    smaller = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return float(min(1.0, 2 * (smaller + 1) / (len(differences) + 1)))
