"""Labels that few held-out rows have: the network has less say there, and labels are as likely as in training."""

import numpy as np
import pytest

from textlstm.config import Task
from textlstm.fitting.calibrating import calibrate
from textlstm.models.calibration.combination import BranchCombiner
from textlstm.models.calibration.rare_labels import LabelRows, expected_shares, network_weights, share_biases
from textlstm.models.calibration.temperature import row_losses

SHARES = np.array([0.3, 0.2] + [0.01] * 18)


def _rows(num_rows: int, *, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of a network that knows frequent labels alone and gives rare ones hardly any, and of an expert of all."""
    random = np.random.default_rng(seed)
    targets = (random.random((num_rows, len(SHARES))) < SHARES).astype(np.float32)
    known = SHARES > 0.1
    network = np.where(known, 4 * targets - 2, -8.0) + random.normal(size=targets.shape)
    machine = -1 + 0.8 * targets + 0.2 * random.normal(size=targets.shape)
    return network.astype(np.float32), machine.astype(np.float32), targets


def _loss(*, num_training_rows: int) -> float:
    """Mean log loss of new rows over five calibrations on 150 rows each."""
    new_network, new_machine, new_targets = _rows(4_000, seed=99)
    losses = []
    for seed in range(5):
        network, machine, targets = _rows(150, seed=seed)
        training = _rows(1_350, seed=10 + seed)[2]
        combiner = calibrate(
            network,
            machine,
            targets,
            task=Task.multi_label,
            class_counts=training.sum(axis=0),
            num_training_rows=num_training_rows,
        ).combiner
        losses.append(row_losses(combiner.combine(new_network, new_machine), new_targets, task=Task.multi_label).mean())
    return float(np.mean(losses))


def test_new_rows_have_a_lower_loss_than_without() -> None:
    assert _loss(num_training_rows=1_350) < _loss(num_training_rows=0) - 0.02


def test_a_label_without_held_out_rows_is_the_experts() -> None:
    targets = np.zeros((40, 3), dtype=np.float32)
    targets[:2, 1] = targets[:38, 2] = 1
    assert network_weights(targets) == pytest.approx([0.0, 0.5, 0.95])
    combiner = BranchCombiner(Task.multi_label, 2.0, 1.0, 0.5, 1.0, 0.0, 3.0, -1.0, 0.4)
    leaning = combiner.leaning_on_expert(network_weights(targets))
    network, machine = np.array([[5.0, 5.0, 5.0]]), np.array([[1.0, 1.0, 1.0]])
    found = leaning.combine(network, machine)[0]
    assert found[0] == pytest.approx(3.0 - 1.0)  # the expert alone
    assert found[1] == pytest.approx((2 * 5 + 1 + 0.5) / 2 + (3.0 - 1.0) / 2)
    # A saved model gives the same bits.
    again = BranchCombiner.from_arrays(leaning.to_arrays(), task=Task.multi_label)
    assert again.combine(network, machine).tobytes() == leaning.combine(network, machine).tobytes()


def test_shares_are_those_of_training_rows_until_held_out_rows_tell() -> None:
    training = LabelRows(np.array([100.0, 100.0]), 1_000)
    few = np.zeros((20, 2))
    assert expected_shares(few, training) == pytest.approx([0.083, 0.083], abs=0.002)
    many = np.zeros((4_000, 2))
    many[:2_000, 0] = 1
    assert expected_shares(many, training) == pytest.approx([0.49, 0.0024], abs=0.002)


def test_biases_make_labels_as_likely_as_their_shares() -> None:
    logits = np.random.default_rng(0).normal(size=(500, 3)) * 2
    biases = share_biases(logits, np.array([0.5, 0.1, 0.01]))
    assert (1 / (1 + np.exp(-(logits + biases)))).mean(axis=0) == pytest.approx([0.5, 0.1, 0.01])
    # A row of weight 2 counts as two rows.
    twice = np.concatenate([logits[:100], logits])
    weights = np.where(np.arange(500) < 100, 2.0, 1.0)
    shares = np.array([0.2, 0.2, 0.2])
    assert share_biases(logits, shares, weights=weights) == pytest.approx(share_biases(twice, shares))
