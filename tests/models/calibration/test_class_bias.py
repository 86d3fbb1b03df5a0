"""Class biases: found where classes come in other shares, left out where they only seem to."""

import numpy as np
import pytest

from textlstm.config import Task
from textlstm.models.calibration.class_bias import fit_class_biases
from textlstm.models.calibration.combination import BranchCombiner
from textlstm.models.calibration.temperature import log_softmax


def _rows(num_rows: int, *, seed: int, shares: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return log-probabilities that are calibrated for equal shares, and targets with `shares`."""
    random = np.random.default_rng(seed)
    targets = random.choice(len(shares), num_rows, p=shares)
    signal = random.normal(size=(num_rows, len(shares))) + 1.5 * np.eye(len(shares))[targets]
    return log_softmax(1.5 * signal), targets


def _loss(logits: np.ndarray, targets: np.ndarray) -> float:
    return float(-logits[np.arange(len(targets)), targets].mean())


MOVED = (0.7, 0.1, 0.1, 0.1)


def test_moved_shares_are_found_and_hold_on_other_rows():
    correction = fit_class_biases(*_rows(1_000, seed=0, shares=MOVED))
    assert correction is not None
    assert correction.biases[0] - correction.biases[1:].mean() == pytest.approx(np.log(7), abs=0.5)
    logits, targets = _rows(20_000, seed=1, shares=MOVED)
    assert _loss(correction(logits), targets) < _loss(logits, targets) - 0.05
    assert correction.gain == pytest.approx(_loss(logits, targets) - _loss(correction(logits), targets), abs=0.04)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_chance_in_few_rows_is_left_alone(seed):
    assert fit_class_biases(*_rows(200, seed=seed, shares=(0.25,) * 4)) is None


def test_held_out_rows_are_corrected_by_other_rows():
    logits, targets = _rows(400, seed=0, shares=MOVED)
    correction = fit_class_biases(logits, targets)
    assert correction is not None
    assert _loss(correction.held_out, targets) > _loss(correction(logits), targets)
    assert correction.gain == pytest.approx(_loss(logits, targets) - _loss(correction.held_out, targets), abs=1e-5)


def test_rows_of_unknown_labels_teach_nothing():
    logits, targets = _rows(400, seed=0, shares=MOVED)
    expected = fit_class_biases(logits, targets)
    more = np.concatenate([logits, logits[:50]])
    found = fit_class_biases(more, np.concatenate([targets, np.full(50, -1)]))
    assert expected is not None
    assert found is not None
    assert found.biases == pytest.approx(expected.biases)
    assert found.held_out[400:] == pytest.approx(expected(logits[:50]), abs=1e-5)


def test_a_hundred_rows_and_two_classes_are_needed():
    logits, targets = _rows(100, seed=0, shares=(0.97, 0.01, 0.01, 0.01))
    assert fit_class_biases(logits, targets) is not None
    assert fit_class_biases(logits[:99], targets[:99]) is None
    assert fit_class_biases(logits[:, :1], np.zeros(100, np.int64)) is None
    assert fit_class_biases(np.zeros((0, 3)), np.zeros(0, np.int64)) is None


def test_a_class_without_rows_becomes_no_likelier():
    logits, targets = _rows(500, seed=0, shares=(0.6, 0.2, 0.2, 0.0))
    correction = fit_class_biases(logits, targets)
    assert correction is not None
    assert correction.biases[3] == correction.biases.min()
    assert correction.biases[3] > -6


def test_a_corrected_gate_combines_with_the_biases_and_is_kept_in_arrays():
    logits, targets = _rows(1_000, seed=0, shares=MOVED)
    combiner = BranchCombiner.fit(logits, 0.5 * logits, targets, task=Task.single_label)
    combined = combiner.combine(logits, 0.5 * logits)
    correction = fit_class_biases(combined, targets)
    assert correction is not None
    kept = BranchCombiner.from_arrays(combiner.with_class_biases(correction.biases).to_arrays(), task=Task.single_label)
    assert kept.combine(logits, 0.5 * logits) == pytest.approx(correction(combined), abs=1e-5)
    assert kept.recurrent_alone(logits) == pytest.approx(combiner.recurrent_alone(logits), abs=1e-6)
