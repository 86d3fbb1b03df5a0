"""Thresholds of labels: a label's own where many rows carry it, the common one where few do."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from textlstm.evaluation.label_thresholds import best_thresholds, fit_label_thresholds


def test_label_thresholds_give_each_label_its_best_f1() -> None:
    probabilities = np.array([[0.9, 0.10], [0.8, 0.30], [0.4, 0.20], [0.2, 0.05]])
    targets = np.array([[1, 0], [1, 1], [1, 1], [0, 0]], dtype=bool)
    assert best_thresholds(probabilities, targets) == pytest.approx([0.3, 0.15])


def test_a_label_that_no_row_carries_keeps_one_half() -> None:
    assert best_thresholds(np.array([[0.9], [0.1]]), np.zeros((2, 1), bool)).tolist() == [0.5]


def rows(num_rows: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which 4 are frequent and 24 are carried by one row in 150; scores tell them apart about as well."""
    generator = np.random.default_rng(seed)
    shares = np.array([0.25] * 4 + [1 / 150] * 24)
    targets = generator.random((num_rows, len(shares))) < shares
    log_odds = np.log(shares / (1 - shares)) + 2.2 * targets + generator.normal(size=targets.shape)
    return 1 / (1 + np.exp(-log_odds)), targets


def figures(thresholds: np.ndarray, probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    decided = probabilities >= thresholds
    return np.array(
        [
            f1_score(targets, decided, average="macro", zero_division=0),
            f1_score(targets, decided, average="micro"),
            (decided == targets).all(axis=1).mean(),
        ]
    )


def test_thresholds_of_rare_labels_do_not_flood_the_rows() -> None:
    new = rows(20_000, seed=100)
    found = [
        [figures(fit(*rows(300, seed=seed)), *new) for fit in (fit_label_thresholds, best_thresholds)]
        for seed in range(8)
    ]
    shrunk, own = np.mean(found, axis=0)
    assert shrunk[1] > own[1] + 0.02  # micro F1
    assert shrunk[2] > own[2] + 0.04  # rows right in every label
    assert shrunk.sum() > own.sum()


def test_few_rows_lean_on_thresholds_of_more_rows() -> None:
    new = rows(20_000, seed=100)
    gains = []
    for seed in range(4):
        toward = fit_label_thresholds(*rows(1_000, seed=50 + seed))
        few = rows(150, seed=seed)
        leaning, alone = fit_label_thresholds(*few, toward=toward), fit_label_thresholds(*few)
        gains.append(figures(leaning, *new) - figures(alone, *new))
    macro, micro, _ = np.mean(gains, axis=0)
    assert macro > 0.01
    assert macro + micro > 0.01


def test_many_rows_of_their_own_outweigh_others() -> None:
    probabilities, targets = rows(4_000, seed=4)
    leaning = fit_label_thresholds(probabilities, targets, toward=np.full(28, 0.9))
    assert leaning[:4] == pytest.approx(best_thresholds(probabilities, targets)[:4], abs=0.12)


def test_labels_that_many_rows_carry_keep_thresholds_of_their_own() -> None:
    """Two labels with 1,000 rows each whose probabilities are on different scales: one threshold would fit neither."""
    generator = np.random.default_rng(3)
    targets = generator.random((4_000, 2)) < 0.25
    signal = targets + 0.3 * generator.normal(size=targets.shape)
    probabilities = np.clip(np.stack([0.1 * signal[:, 0], 0.5 + 0.4 * signal[:, 1]], axis=1), 0.001, 0.999)
    thresholds = fit_label_thresholds(probabilities, targets)
    assert thresholds == pytest.approx([0.055, 0.72], abs=0.05)
    assert figures(thresholds, probabilities, targets)[1] > 0.85


def test_few_rows_share_one_threshold() -> None:
    probabilities, targets = rows(19, seed=1)
    assert len(set(fit_label_thresholds(probabilities, targets).tolist())) == 1
    assert fit_label_thresholds(probabilities[:0], targets[:0]).tolist() == [0.5] * 28
