"""Rows weighted to other class shares stand for rows that have them."""

import numpy as np
import pytest

from textlstm.config import Task
from textlstm.errors import ConfigError
from textlstm.models.calibration.class_bias import fit_class_biases
from textlstm.models.calibration.combination import BranchCombiner
from textlstm.models.calibration.temperature import log_softmax
from textlstm.models.calibration.validation_rows import label_shift_weights

LABELS = ("book", "pay", "oos")
TARGETS = np.array([0] * 5 + [1] * 4 + [2])


def test_weighted_rows_have_the_shares_that_were_named_and_the_others_share_the_rest() -> None:
    weights = label_shift_weights(TARGETS, LABELS, {"oos": 0.28})
    assert np.bincount(TARGETS, weights) / 10 == pytest.approx([0.4, 0.32, 0.28])
    assert weights.mean() == pytest.approx(1.0)
    everything = label_shift_weights(TARGETS, LABELS, {"book": 0.2, "pay": 0.2, "oos": 0.6})
    assert np.bincount(TARGETS, everything) / 10 == pytest.approx([0.2, 0.2, 0.6])
    assert label_shift_weights(TARGETS, LABELS, {"oos": 0.0})[-1] == 0


def test_rows_of_unknown_labels_are_among_the_others() -> None:
    targets = np.append(TARGETS, [-1, -1])
    weights = label_shift_weights(targets, LABELS, {"oos": 0.45})
    assert weights[targets == -1] == pytest.approx(weights[0])
    assert weights.mean() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"other": 0.1}, "no label is named 'other'"),
        ({"book": 0.2, "pay": 0.2, "oos": 0.3}, "their shares add up to 0.7"),
    ],
)
def test_shares_that_cannot_be_are_refused(shares: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        label_shift_weights(TARGETS, LABELS, shares)


def test_a_label_without_a_row_can_have_no_share() -> None:
    with pytest.raises(ConfigError, match="no validation row is labelled 'oos'"):
        label_shift_weights(TARGETS[:-1], LABELS, {"oos": 0.1})
    assert label_shift_weights(TARGETS[:-1], LABELS, {"oos": 0.0}) == pytest.approx(np.ones(9))


def _rows(num_rows: int, *, seed: int, shares: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits of a network that was trained where all labels were equally frequent, and the targets."""
    random = np.random.default_rng(seed)
    targets = random.choice(3, num_rows, p=shares)
    signal = random.normal(size=(num_rows, 3)) + 1.5 * np.eye(3)[targets]
    return 3.0 * signal, targets  # too sure by a factor of two


def test_a_gate_of_weighted_rows_is_calibrated_for_rows_with_these_shares() -> None:
    logits, targets = _rows(4_000, seed=0, shares=(0.48, 0.48, 0.04))
    moved, its_targets = _rows(40_000, seed=1, shares=(0.2, 0.2, 0.6))
    surplus = []
    for weights in (label_shift_weights(targets, LABELS, {"oos": 0.6}), None):  # None: the negative control
        combiner = BranchCombiner.fit(logits, None, targets, task=Task.single_label, weights=weights)
        biases = fit_class_biases(combiner.combine(logits, None), targets, weights=weights)
        assert biases is not None
        found = np.exp(log_softmax(combiner.with_class_biases(biases.biases).combine(moved, None)))
        surplus.append(found[:, 2].mean() - (its_targets == 2).mean())
    assert abs(surplus[0]) < 0.03
    assert surplus[1] < -0.15
