"""Calibration error and reliability bins by hand."""

import numpy as np
import pytest

from textlstm.evaluation.calibration import reliability_bins


def test_expected_calibration_error_of_a_table_worked_by_hand() -> None:
    """Bins of width 0.5: {0.4 right, 0.2 wrong} and {0.9 right, 0.7 right}."""
    confidences, correct = np.array([0.4, 0.2, 0.9, 0.7]), np.array([True, False, True, True])
    bins = reliability_bins(confidences, correct, num_bins=2)
    assert bins.counts.tolist() == [2, 2]
    assert bins.mean_confidence == pytest.approx([0.3, 0.8])
    assert bins.share_correct == pytest.approx([0.5, 1.0])
    assert bins.expected_error == pytest.approx(0.2)


def test_bin_edges_belong_to_the_bin_below() -> None:
    assert reliability_bins(np.array([0.0, 0.5, 0.5001, 1.0]), np.ones(4, bool), num_bins=2).counts.tolist() == [2, 2]


def test_no_rows_have_no_calibration_error() -> None:
    assert reliability_bins(np.zeros(0), np.zeros(0, bool)).expected_error == 0.0
