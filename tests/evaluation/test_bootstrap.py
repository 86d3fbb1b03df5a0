"""Resamples are reproducible and shared; intervals hold the truth as often as they say."""

import numpy as np
import pytest
from scipy.special import softmax

from textlstm.config import Task
from textlstm.evaluation.bootstrap import Interval, Resamples, proportion_interval
from textlstm.evaluation.metrics import compute_metrics


def test_blocks_draw_every_resample_once_with_replacement() -> None:
    weights = np.concatenate(list(Resamples(50, 30, seed=1).blocks()))
    assert weights.shape == (30, 50)
    assert weights.sum(axis=1).tolist() == [50.0] * 30
    assert weights.max() > 1


def test_the_same_seed_draws_the_same_and_another_seed_does_not() -> None:
    first, again, other = (next(Resamples(50, 5, seed=seed).blocks()) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_large_problems_are_cut_into_blocks_of_bounded_size() -> None:
    sizes = [len(block) for block in Resamples(700_000, 5, seed=0).blocks()]
    assert sizes == [2, 2, 1]


def test_interval_is_centred_on_the_point_and_stays_in_range() -> None:
    resamples = Resamples(10, 5, seed=0, confidence=0.5)
    replicates = np.array([0.7, 0.8, 0.9, 1.0, np.nan])
    assert resamples.interval(replicates, 0.85) == pytest.approx((0.775, 0.925))
    assert resamples.interval(replicates, 0.95) == pytest.approx((0.875, 1.0))


def test_interval_without_defined_replicates_is_undefined() -> None:
    assert np.isnan(Resamples(10, 5, seed=0).interval(np.array([np.nan]), 0.5)).all()


@pytest.mark.parametrize(
    ("num_hits", "num_trials", "low", "high"),
    [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (5, 10, 0.1871, 0.8129), (0, 0, 0.0, 1.0)],
)
def test_exact_interval_of_a_share(num_hits: int, num_trials: int, low: float, high: float) -> None:
    assert proportion_interval(num_hits, num_trials, confidence=0.95) == pytest.approx((low, high), abs=1e-4)


def test_intervals_hold_the_true_value_as_often_as_they_say() -> None:
    """200 tables of 400 rows from one population: 95 % intervals hold the truth in 90 to 99 % of them."""
    generator = np.random.default_rng(7)

    def draw(num_rows: int) -> tuple[np.ndarray, np.ndarray]:
        targets = generator.integers(0, 4, num_rows)
        logits = generator.normal(size=(num_rows, 4)) + 1.8 * np.eye(4)[targets]
        return targets, softmax(logits, axis=1)

    names = ("accuracy", "macro_f1", "mcc", "log_loss", "roc_auc", "average_precision")
    targets, probabilities = draw(200_000)
    truth = compute_metrics(targets, probabilities, task=Task.single_label, resamples=Resamples(200_000, 1, 0)).values
    held = dict.fromkeys(names, 0)
    too_narrow = 0
    for seed in range(200):
        targets, probabilities = draw(400)
        metrics = compute_metrics(
            targets, probabilities, task=Task.single_label, resamples=Resamples(400, 200, seed=seed)
        )
        for name in names:
            held[name] += metrics.intervals[name].contains(truth[name])
        low, high = metrics.intervals["accuracy"]
        middle = (low + high) / 2
        too_narrow += Interval(middle - (high - low) / 6, middle + (high - low) / 6).contains(truth["accuracy"])
    assert {name: count for name, count in held.items() if not 180 <= count <= 199} == {}
    assert too_narrow < 140  # the control: intervals a third as wide are found out
