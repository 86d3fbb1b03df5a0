import numpy as np
import pytest

from textlstm.config import Task
from textlstm.training.validation_scores import score


def test_scores_equal_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(1)
    logits, targets = random.normal(size=(50, 5)), random.integers(0, 4, 50)  # class 4 is never a target
    found = score(logits, targets, task=Task.single_label)
    decided = logits.argmax(axis=1)
    assert found.macro_f1 == pytest.approx(metrics.f1_score(targets, decided, average="macro"))
    assert found.accuracy == pytest.approx(metrics.accuracy_score(targets, decided))
    several = (random.random((50, 5)) < 0.3).astype(np.float32)
    found = score(logits, several, task=Task.multi_label)
    best = [
        max(
            metrics.f1_score(several[:, label], logits[:, label] >= threshold)
            for threshold in np.unique(logits[:, label])
        )
        for label in range(5)
    ]
    assert found.macro_f1 == pytest.approx(np.mean(best))
    assert found.accuracy == pytest.approx(metrics.accuracy_score(several, logits > 0))


def test_labels_that_never_occur_do_not_count() -> None:
    assert score(np.array([[3.0, 0.0, 0.0]]), np.array([0]), task=Task.single_label) == (1.0, 1.0)


def test_labels_without_rows_do_not_count_among_several() -> None:
    logits = np.array([[-1.0, 5.0], [-3.0, 5.0], [-2.0, 5.0]])
    targets = np.array([[1, 0], [0, 0], [1, 0]], np.float32)
    assert score(logits, targets, task=Task.multi_label) == (1.0, 0.0)  # ranked right; no row is right at 1/2


def test_no_rows_score_nothing() -> None:
    assert score(np.zeros((0, 3)), np.zeros(0, np.int64), task=Task.single_label) == (0.0, 0.0)
