"""Scales by class: taken where a linear machine knows rare classes that one scale hides, and nowhere else."""

import numpy as np
import pytest

from textlstm.config import Task
from textlstm.fitting.calibrating import calibrate, class_counts
from textlstm.models.calibration.combination import BranchCombiner
from textlstm.models.calibration.temperature import row_losses

COUNTS = np.array([3000, 900, 300, 30, 8, 5])


def _rows(num_rows: int, *, seed: int, counts: np.ndarray = COUNTS, knows_rare: bool = True):
    """Return logits of a network that has not learned rare classes, of a machine that has, and targets."""
    random = np.random.default_rng(seed)
    targets = random.choice(len(counts), num_rows, p=(counts + 20) / (counts + 20).sum())
    is_target = np.eye(len(counts))[targets]
    learned = counts / (counts + 30)
    network = 4 * learned * is_target + np.log(counts / counts.sum()) + random.normal(size=is_target.shape) * 0.7
    # Margins lie around -1; those of a class of few rows rise above it by little, but they do rise.
    rise = (2.0 * learned + 0.15) if knows_rare else 2.0 * learned
    margins = -1 + rise * is_target + random.normal(size=is_target.shape) * (0.4 * learned + 0.03)
    return network.astype(np.float32), margins.astype(np.float32), targets


def _losses(log_probabilities: np.ndarray, targets: np.ndarray) -> float:
    return float(row_losses(log_probabilities, targets, task=Task.single_label).mean())


def _calibrated(rows, counts: np.ndarray | None) -> BranchCombiner:
    network, machine, targets = rows
    return calibrate(network, machine, targets, task=Task.single_label, class_counts=counts).combiner


def test_rare_classes_are_found_where_the_machine_knows_them():
    network, machine, targets = _rows(5_000, seed=1)
    plain, scaled = (_calibrated(_rows(1_500, seed=0), counts) for counts in (None, COUNTS))
    assert np.ndim(plain.expert_scale) == 0
    assert scaled.expert_scale[-1] > 2 * scaled.expert_scale[0] > 0
    before, after = (_losses(one.combine(network, machine), targets) for one in (plain, scaled))
    assert after < before / 2


@pytest.mark.parametrize(
    ("counts", "known"), [(np.full(6, 700), COUNTS), (COUNTS, None)], ids=["equal classes", "nothing to gain"]
)
def test_one_scale_stays_where_there_is_no_gain(counts, known):
    rows = _rows(1_500, seed=0, counts=counts)
    if known is None:
        # Both branches give the true log-odds of every class: rarity explains nothing.
        random, shares = np.random.default_rng(2), (counts + 20) / (counts + 20).sum()
        targets = random.choice(len(counts), 1_500, p=shares)
        signal = 2 * (np.eye(len(counts))[targets] * 2 + random.normal(size=(1_500, len(counts)))) + np.log(shares)
        rows = signal, signal.copy(), targets
        known = counts
    assert np.ndim(_calibrated(rows, counts).expert_scale) == 0


def test_saved_scales_give_the_same_bits_and_no_negative_scale():
    network, machine, _ = rows = _rows(1_500, seed=0)
    combiner = _calibrated(rows, COUNTS)
    again = BranchCombiner.from_arrays(combiner.to_arrays(), task=Task.single_label)
    assert again.combine(network, machine).tobytes() == combiner.combine(network, machine).tobytes()
    assert combiner.expert_scale.min() >= 0
    assert combiner.recurrent_scale >= 0


def test_several_labels_a_row():
    random = np.random.default_rng(0)
    shares = np.array([0.5, 0.2, 0.02, 0.01])
    targets = (random.random((3_000, 4)) < shares).astype(np.int64)
    network = (4 * targets - 3) * shares.clip(0, 0.2) * 5 + np.log(shares) + random.normal(size=targets.shape)
    machine = -1 + targets * (0.2 + shares) * 2 + random.normal(size=targets.shape) * (0.1 + shares / 2)
    counts = class_counts(targets, 4)
    calibrated = calibrate(network, machine, targets, task=Task.multi_label, class_counts=counts)
    assert calibrated.combiner.bias.shape == (4,)
    assert calibrated.combiner.expert_scale[3] > calibrated.combiner.expert_scale[0]
