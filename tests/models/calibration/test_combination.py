"""The combiner: calibrated, never at a greater loss than the better branch on validation, robust on few rows."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from textlstm.config import Task
from textlstm.models.calibration.combination import BranchCombiner
from textlstm.models.calibration.temperature import Wanted, fit_scales, log_softmax, mean_loss


def _branches(num_rows: int, *, seed: int, strengths: tuple[float, float], num_labels: int = 4):
    random = np.random.default_rng(seed)
    targets = random.integers(0, num_labels, num_rows)
    signal = np.eye(num_labels)[targets]
    logits = [(random.normal(size=signal.shape) + strength * signal).astype(np.float32) for strength in strengths]
    return logits[0] * 5, logits[1], targets


def _accuracy(logits: np.ndarray, targets: np.ndarray) -> float:
    return float((logits.argmax(axis=1) == targets).mean())


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(0, 10**6),
    st.tuples(st.floats(-3, 6), st.floats(-3, 6)),
    st.integers(2, 6),
)
@example(num_rows=1, seed=0, strengths=(5.0, 0.0), num_labels=3)
def test_never_at_a_greater_loss_than_the_better_branch(num_rows, seed, strengths, num_labels):
    recurrent, expert, targets = _branches(num_rows, seed=seed, strengths=strengths, num_labels=num_labels)
    combiner = BranchCombiner.fit(recurrent, expert, targets, task=Task.single_label)
    combined = combiner.combine(recurrent, expert)
    assert np.isfinite(combined).all()
    wanted = Wanted.of(targets, num_labels, task=Task.single_label)
    together, *alone = (
        mean_loss(logits, wanted)
        for logits in (combined, combiner.recurrent_alone(recurrent), combiner.expert_alone(expert))
    )
    assert together <= min(alone) + 1e-5


def test_independent_branches_are_better_together():
    recurrent, expert, targets = _branches(2_000, seed=0, strengths=(1.0, 1.2))
    combiner = BranchCombiner.fit(recurrent, expert, targets, task=Task.single_label)
    recurrent, expert, targets = _branches(20_000, seed=1, strengths=(1.0, 1.2))
    better = max(_accuracy(recurrent, targets), _accuracy(expert, targets))
    assert _accuracy(combiner.combine(recurrent, expert), targets) > better + 0.05
    assert 0.3 < combiner.expert_share < 0.7


def test_a_useless_branch_is_left_out():
    recurrent, expert, targets = _branches(3_000, seed=0, strengths=(3.0, 0.0))
    combiner = BranchCombiner.fit(recurrent, expert, targets, task=Task.single_label)
    assert combiner.expert_share < 0.1


def test_combined_log_probabilities_are_normalized_and_calibrated():
    recurrent, expert, targets = _branches(20_000, seed=0, strengths=(1.5, 1.0))
    combiner = BranchCombiner.fit(recurrent[:5_000], expert[:5_000], targets[:5_000], task=Task.single_label)
    for logits in (
        combiner.combine(recurrent, expert),
        combiner.recurrent_alone(recurrent),
        combiner.expert_alone(expert),
    ):
        probabilities = np.exp(logits[5_000:].astype(np.float64))
        assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
        assert probabilities.max(axis=1).mean() == pytest.approx(_accuracy(logits[5_000:], targets[5_000:]), abs=0.015)
    overconfident = np.exp(log_softmax(recurrent[5_000:]))
    assert overconfident.max(axis=1).mean() > _accuracy(recurrent[5_000:], targets[5_000:]) + 0.1


def test_without_an_expert_it_is_plain_temperature_scaling():
    recurrent, _, targets = _branches(500, seed=0, strengths=(1.5, 1.0))
    combiner = BranchCombiner.fit(recurrent, None, targets, task=Task.single_label)
    expected = log_softmax(recurrent * combiner.recurrent_alone_scale)
    assert np.allclose(combiner.combine(recurrent, None), expected, atol=1e-5)
    assert combiner.expert_share == 0


def test_few_perfect_rows_give_no_infinite_confidence():
    logits = np.array([[9.0, 0.0], [0.0, 9.0]])
    combiner = BranchCombiner.fit(logits, None, np.array([0, 1]), task=Task.single_label)
    assert np.exp(combiner.combine(logits, None)).max() == pytest.approx(1 - 1 / 4 / 2, abs=1e-3)


def test_multi_label_loss_is_at_most_that_of_either_branch():
    random = np.random.default_rng(0)
    targets = (random.random((400, 5)) < 0.2).astype(np.float64)
    recurrent, expert = (random.normal(size=(400, 5)) + 2 * targets for _ in range(2))
    combiner = BranchCombiner.fit(recurrent, expert, targets, task=Task.multi_label)
    wanted = Wanted.of(targets, 5, task=Task.multi_label)

    def loss(logits: np.ndarray) -> float:
        return mean_loss(logits, wanted)

    alone = min(loss(combiner.recurrent_alone(recurrent)), loss(combiner.expert_alone(expert)))
    assert loss(combiner.combine(recurrent, expert)) < alone - 0.05
    assert (1 / (1 + np.exp(-combiner.combine(recurrent, expert)))).mean() == pytest.approx(0.2, abs=0.02)


def test_tensors_round_trip():
    recurrent, expert, targets = _branches(100, seed=0, strengths=(1.5, 1.0))
    combiner = BranchCombiner.fit(recurrent, expert, targets, task=Task.single_label)
    assert BranchCombiner.from_arrays(combiner.to_arrays(), task=Task.single_label) == combiner


def test_rows_with_a_label_unknown_to_the_model_are_left_out():
    recurrent, expert, targets = _branches(100, seed=0, strengths=(1.5, 1.0))
    expected = BranchCombiner.fit(recurrent[:90], expert[:90], targets[:90], task=Task.single_label)
    targets[90:] = -1
    assert BranchCombiner.fit(recurrent, expert, targets, task=Task.single_label) == expected


def test_no_rows_and_missing_expert_are_refused():
    recurrent, expert, targets = _branches(100, seed=0, strengths=(1.5, 1.5))
    with pytest.raises(ValueError, match=r"^a combiner needs at least one validation row$"):
        BranchCombiner.fit(recurrent[:0], expert[:0], targets[:0], task=Task.single_label)
    combiner = BranchCombiner.fit(recurrent, expert, targets, task=Task.single_label)
    with pytest.raises(
        ValueError, match=r"^this combiner combines two branches, and the logits of the linear expert are"
    ):
        combiner.combine(recurrent, None)


def test_newton_finds_the_minimum_that_a_grid_finds():
    recurrent, expert, targets = _branches(300, seed=0, strengths=(1.5, 1.0))
    wanted = Wanted.of(targets, 4, task=Task.single_label)
    scales, _ = fit_scales([recurrent, expert], wanted)
    least = mean_loss(scales[0] * recurrent + scales[1] * expert, wanted)
    for first in np.linspace(0, 1, 41):
        for second in np.linspace(0, 4, 41):
            loss = mean_loss(first * recurrent + second * expert, wanted)
            assert least <= loss + 1e-9
