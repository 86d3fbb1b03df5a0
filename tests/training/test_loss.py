import numpy as np
import pytest
import torch
from torch.nn import functional

from textlstm.config import Imbalance, Task, TrainingConfig
from textlstm.training.loss import build_objective, label_counts, row_weights

TARGETS = np.array([0, 0, 0, 0, 0, 0, 1, 1])
LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 0.5]])
WANTED = torch.tensor([0, 1])


def _objective(
    imbalance: Imbalance, *, task: Task = Task.single_label, targets: np.ndarray = TARGETS, **settings: float
):
    config = TrainingConfig(imbalance=imbalance, **{"label_smoothing": 0.0} | settings)
    return build_objective(config, task, targets=targets, num_labels=3, device=torch.device("cpu"))


def test_plain_loss_is_cross_entropy() -> None:
    losses = _objective(Imbalance.none).losses(LOGITS, WANTED)
    torch.testing.assert_close(losses, functional.cross_entropy(LOGITS, WANTED, reduction="none"))


def test_class_weights_are_inverse_shares_with_mean_one_over_rows() -> None:
    objective = _objective(Imbalance.class_weights)
    assert objective.class_weights is not None
    assert objective.class_weights.tolist() == pytest.approx([8 / 12, 2.0, 0.0])  # a class without rows: 0
    assert objective.class_weights[torch.from_numpy(TARGETS)].mean().item() == pytest.approx(1.0)


def test_focal_loss_with_gamma_zero_is_cross_entropy_and_else_smaller() -> None:
    plain = _objective(Imbalance.none).losses(LOGITS, WANTED)
    torch.testing.assert_close(_objective(Imbalance.focal, focal_gamma=0.0).losses(LOGITS, WANTED), plain)
    right = LOGITS.softmax(dim=1)[[0, 1], [0, 1]]
    focal = _objective(Imbalance.focal, focal_gamma=2.0).losses(LOGITS, WANTED)
    torch.testing.assert_close(focal, plain * (1 - right) ** 2)


def test_logit_adjustment_adds_the_log_shares() -> None:
    objective = _objective(Imbalance.logit_adjustment)
    assert objective.log_prior is not None
    assert objective.log_prior.exp().tolist() == pytest.approx([7 / 11, 3 / 11, 1 / 11])
    adjusted = functional.cross_entropy(LOGITS + objective.log_prior, WANTED, reduction="none")
    torch.testing.assert_close(objective.losses(LOGITS, WANTED), adjusted)


def test_several_labels_use_binary_cross_entropy() -> None:
    targets = np.eye(3, dtype=np.float32)[TARGETS]
    wanted = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    expected = functional.binary_cross_entropy_with_logits(LOGITS, wanted, reduction="none").mean(dim=1)
    plain = _objective(Imbalance.none, task=Task.multi_label, targets=targets)
    torch.testing.assert_close(plain.losses(LOGITS, wanted), expected)
    weighted = _objective(Imbalance.class_weights, task=Task.multi_label, targets=targets)
    assert weighted.class_weights is not None
    assert weighted.class_weights.tolist() == pytest.approx([(2 / 6) ** 0.5, (6 / 2) ** 0.5, 0.0])


@pytest.mark.parametrize("task", list(Task))
def test_divergence_is_zero_for_equal_logits_and_symmetric(task: Task) -> None:
    objective = _objective(Imbalance.none, task=task)
    other = LOGITS.flip(1)
    assert objective.divergence(LOGITS, LOGITS).tolist() == [0.0, 0.0]
    torch.testing.assert_close(objective.divergence(LOGITS, other), objective.divergence(other, LOGITS))
    assert objective.divergence(LOGITS, other).min() > 0


def test_balanced_rows_draw_classes_equally_often() -> None:
    weights = row_weights(TARGETS, 3)
    assert [weights[label == TARGETS].sum() for label in (0, 1)] == pytest.approx([0.5, 0.5])
    several = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0]], np.float32)
    assert row_weights(several, 3) == pytest.approx(np.array([9, 3, 3, 5]) / 20)
    assert label_counts(several, 3).tolist() == [3, 1, 0]
