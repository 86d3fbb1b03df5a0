"""Calibration error by hand, the temperature that a simulation was made with, and probabilities that sum to 1."""

import numpy as np
import pytest

from textlstm.config import Task
from textlstm.evaluation.calibration import (
    decision_bins,
    expected_calibration_error,
    fit_temperature,
    probabilities_from_logits,
    reliability_bins,
)


def test_expected_calibration_error_of_a_table_worked_by_hand() -> None:
    """Bins of width 0.5: {0.4 right, 0.2 wrong} and {0.9 right, 0.7 right}."""
    confidences, correct = np.array([0.4, 0.2, 0.9, 0.7]), np.array([True, False, True, True])
    bins = reliability_bins(confidences, correct, num_bins=2)
    assert bins.counts.tolist() == [2, 2]
    assert bins.mean_confidence == pytest.approx([0.3, 0.8])
    assert bins.share_correct == pytest.approx([0.5, 1.0])
    assert expected_calibration_error(confidences, correct, num_bins=2) == pytest.approx(0.2)


def test_bin_edges_belong_to_the_bin_below() -> None:
    assert reliability_bins(np.array([0.0, 0.5, 0.5001, 1.0]), np.ones(4, bool), num_bins=2).counts.tolist() == [2, 2]


def test_no_rows_have_no_calibration_error() -> None:
    assert expected_calibration_error(np.zeros(0), np.zeros(0, bool)) == 0.0


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_found_again_and_calibrates(task: Task, temperature: float) -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20_000, 4)) * 2
    probabilities = probabilities_from_logits(logits, task=task)
    if task is Task.multi_label:
        targets = generator.random(logits.shape) < probabilities
    else:
        targets = (generator.random((len(logits), 1)) > probabilities.cumsum(axis=1)).sum(axis=1).clip(max=3)
    stated = logits * temperature
    found = fit_temperature(stated, targets, task=task)
    assert found == pytest.approx(temperature, rel=0.05)
    before = decision_bins(targets, probabilities_from_logits(stated, task=task), task=task).expected_error
    calibrated = probabilities_from_logits(stated, task=task, temperature=found)
    assert decision_bins(targets, calibrated, task=task).expected_error < 0.012
    assert before > 0.04 or temperature == 1.0


def test_rows_with_unknown_labels_do_not_count_for_the_temperature() -> None:
    logits, targets = np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), np.array([0, 1, 1])
    with_unknown = fit_temperature(np.vstack([logits, [[9.0, 0.0]]]), np.append(targets, -1))
    assert with_unknown == fit_temperature(logits, targets)


def test_no_rows_leave_the_temperature_at_one() -> None:
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, dtype=int)) == 1.0


def test_probabilities_sum_to_one_whatever_the_logits() -> None:
    logits = np.array([[1e4, -1e4, 0.0], [0.0, 0.0, 0.0], [-700.0, -710.0, -720.0]])
    probabilities = probabilities_from_logits(logits, task=Task.single_label, temperature=0.1)
    assert np.isfinite(probabilities).all()
    assert probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
