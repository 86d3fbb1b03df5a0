"""Verdicts in words, exact McNemar values, and how often equal models are told apart."""

import numpy as np
import pytest

from textlstm.config import Task
from textlstm.evaluation.bootstrap import Resamples
from textlstm.evaluation.comparison import Comparison, Verdict, compare, format_p_value, mcnemar_p_value
from textlstm.evaluation.metrics import compute_decision_metrics


def compared(correct: np.ndarray, opponent_correct: np.ndarray, *, seed: int = 0) -> Comparison:
    """Two models on rows of two classes, given which rows each has right."""
    targets = np.arange(len(correct)) % 2
    resamples = Resamples(len(correct), 200, seed=seed)
    own, other = (
        compute_decision_metrics(
            targets, np.where(hits, targets, 1 - targets), num_labels=2, resamples=resamples, task=Task.single_label
        )
        for hits in (correct, opponent_correct)
    )
    return compare(
        own, other, opponent="the baseline", correct=correct, opponent_correct=opponent_correct, resamples=resamples
    )


def hits(num_rows: int, wrong: range) -> np.ndarray:
    correct = np.ones(num_rows, bool)
    correct[list(wrong)] = False
    return correct


@pytest.mark.parametrize(
    ("num_won", "num_lost", "p_value"), [(1, 9, 22 / 1024), (0, 0, 1.0), (5, 5, 1.0), (0, 6, 2 / 64)]
)
def test_mcnemar_is_the_exact_coin_toss(num_won: int, num_lost: int, p_value: float) -> None:
    assert mcnemar_p_value(num_won, num_lost) == pytest.approx(p_value)


def test_a_clear_winner_is_said_to_win() -> None:
    found = compared(hits(400, range(20)), hits(400, range(60)))
    assert (found.verdict, found.num_won, found.num_lost) == (Verdict.better, 40, 0)
    assert found.difference == pytest.approx(0.1)
    assert found.sentence.startswith(
        "The model beats the baseline by 10.00 points of accuracy; the difference is beyond"
    )
    assert found.sentence.endswith("rows won 40, lost 0, McNemar p < 0.001).")


def test_a_clear_loser_is_said_to_lose() -> None:
    found = compared(hits(400, range(60)), hits(400, range(20)))
    assert found.verdict is Verdict.worse
    assert found.sentence.startswith("The model loses to the baseline by 10.00 points of accuracy;")


def test_a_small_lead_is_within_chance() -> None:
    found = compared(hits(400, range(20)), hits(400, range(19, 41)))
    assert found.verdict is Verdict.equal
    assert found.sentence.startswith(
        "The model is 0.50 points of accuracy ahead of the baseline; that is within chance"
    )


def test_the_same_decisions_are_said_to_be_the_same() -> None:
    found = compared(hits(100, range(5)), hits(100, range(5)))
    assert found.sentence == (
        "The model and the baseline are right on the same rows "
        "(95% interval -3.62 to +3.62; rows won 0, lost 0, McNemar p = 1.000)."
    )


def test_equal_models_are_told_apart_in_at_most_five_percent() -> None:
    generator = np.random.default_rng(0)
    verdicts = [
        compared(generator.random(300) < 0.8, generator.random(300) < 0.8, seed=seed).verdict for seed in range(200)
    ]
    assert sum(verdict is not Verdict.equal for verdict in verdicts) <= 16
    better = [
        compared(generator.random(300) < 0.92, generator.random(300) < 0.8, seed=seed).verdict for seed in range(20)
    ]
    assert better.count(Verdict.better) >= 18  # the control: a real lead is seen


def test_multi_label_models_are_judged_by_micro_f1() -> None:
    generator = np.random.default_rng(1)
    targets = generator.random((300, 5)) < 0.4
    good, bad = (targets ^ (generator.random(targets.shape) < noise) for noise in (0.05, 0.2))
    resamples = Resamples(300, 100, seed=0)
    own, other = (
        compute_decision_metrics(targets, said, num_labels=5, resamples=resamples, task=Task.multi_label)
        for said in (good, bad)
    )
    found = compare(
        own,
        other,
        opponent="the baseline",
        correct=(good == targets).all(axis=1),
        opponent_correct=(bad == targets).all(axis=1),
        resamples=resamples,
    )
    assert (found.metric, found.verdict) == ("micro_f1", Verdict.better)
    assert "points of micro F1" in found.sentence
    assert found.sentence.endswith("; paired bootstrap p < 0.001).") or "paired bootstrap p = 0.0" in found.sentence
    assert "McNemar" not in found.sentence  # a test of whole rows says nothing about micro F1


def test_p_values_are_written_as_they_are_read() -> None:
    assert [format_p_value(value) for value in (0.0004, 0.001, 0.25)] == ["< 0.001", "= 0.001", "= 0.250"]
