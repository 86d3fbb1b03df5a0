"""Figures equal scikit-learn's, on fixed tables and on random ones; intervals are sane where resampling says nothing."""

import time

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics as reference

from textlstm.config import Task
from textlstm.evaluation.bootstrap import Resamples
from textlstm.evaluation.metrics import Metrics, compute_metrics


def single(targets: np.ndarray, probabilities: np.ndarray, *, num_samples: int = 20, top_k: int = 2) -> Metrics:
    resamples = Resamples(len(targets), num_samples, seed=0)
    return compute_metrics(targets, probabilities, task=Task.single_label, top_k=top_k, resamples=resamples)


def test_figures_of_a_table_worked_by_hand() -> None:
    """Six rows: truth a a a b b c, predicted a a b b c c."""
    targets = np.array([0, 0, 0, 1, 1, 2])
    predictions = np.array([0, 0, 1, 1, 2, 2])
    values = single(targets, np.eye(3)[predictions] * 0.8 + 0.1 * (1 - np.eye(3)[predictions])).values
    assert values["accuracy"] == pytest.approx(4 / 6)
    assert values["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert values["macro_f1"] == pytest.approx((4 / 5 + 1 / 2 + 2 / 3) / 3)
    assert values["weighted_f1"] == pytest.approx((3 * 4 / 5 + 2 * 1 / 2 + 2 / 3) / 6)
    assert values["log_loss"] == pytest.approx(-(4 * np.log(0.8) + 2 * np.log(0.1)) / 6)
    assert values["brier"] == pytest.approx((4 * (0.04 + 0.02) + 2 * (0.81 + 0.64 + 0.01)) / 6)


@pytest.mark.parametrize(("num_rows", "num_labels"), [(40, 2), (300, 5), (200, 30)])
@pytest.mark.parametrize("decimals", [1, 8], ids=["tied", "distinct"])
def test_single_label_figures_equal_scikit_learn(num_rows: int, num_labels: int, decimals: int) -> None:
    generator = np.random.default_rng(num_rows)
    targets = generator.integers(0, num_labels, num_rows)
    logits = generator.normal(size=(num_rows, num_labels)) + 2 * np.eye(num_labels)[targets]
    probabilities = np.round(softmax(logits, axis=1), decimals)
    probabilities = (probabilities + 0.01) / (probabilities + 0.01).sum(axis=1, keepdims=True)
    predictions, one_hot = probabilities.argmax(axis=1), np.eye(num_labels, dtype=int)[targets]
    seen = np.flatnonzero(one_hot.any(axis=0))
    values = single(targets, probabilities).values
    expected = {
        "accuracy": reference.accuracy_score(targets, predictions),
        "balanced_accuracy": reference.balanced_accuracy_score(targets, predictions),
        "macro_f1": reference.f1_score(targets, predictions, average="macro"),
        "micro_f1": reference.f1_score(targets, predictions, average="micro"),
        "weighted_f1": reference.f1_score(targets, predictions, average="weighted"),
        "macro_precision": reference.precision_score(targets, predictions, average="macro", zero_division=0),
        "macro_recall": reference.recall_score(targets, predictions, average="macro", zero_division=0),
        "mcc": reference.matthews_corrcoef(targets, predictions),
        "log_loss": reference.log_loss(targets, probabilities, labels=range(num_labels)),
        "brier": reference.brier_score_loss(targets, probabilities, labels=range(num_labels)),
        "roc_auc": reference.roc_auc_score(one_hot[:, seen], probabilities[:, seen]),
        "average_precision": reference.average_precision_score(one_hot[:, seen], probabilities[:, seen]),
    }
    assert {name: values[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_brier_of_two_labels_follows_scikit_learn_when_scores_are_extreme() -> None:
    targets, probabilities = np.array([0, 1, 1]), np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    expected = reference.brier_score_loss(targets, probabilities[:, 1])
    assert single(targets, probabilities).values["brier"] == pytest.approx(expected)


def test_top_k_counts_the_k_most_probable_labels() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    assert single(np.array([0, 1, 2]), probabilities, top_k=1).values["top_k_accuracy"] == pytest.approx(1 / 3)
    assert single(np.array([0, 1, 2]), probabilities, top_k=2).values["top_k_accuracy"] == pytest.approx(2 / 3)
    assert single(np.array([0, 1, 2]), probabilities, top_k=9).values["top_k_accuracy"] == 1.0


def test_per_class_figures_equal_scikit_learn() -> None:
    generator = np.random.default_rng(3)
    targets = generator.integers(0, 6, 200)
    probabilities = generator.dirichlet(np.ones(6), 200)
    expected = reference.precision_recall_fscore_support(targets, probabilities.argmax(axis=1), zero_division=0)
    counts = single(targets, probabilities).class_values
    for found, wanted in zip((counts.precision, counts.recall, counts.f1, counts.support), expected, strict=True):
        assert found == pytest.approx(wanted)


def test_multi_label_figures_equal_scikit_learn() -> None:
    generator = np.random.default_rng(4)
    targets = generator.random((150, 7)) < 0.3
    probabilities = np.round(np.clip(0.4 * targets + 0.7 * generator.random((150, 7)), 0.01, 0.99), 2)
    resamples = Resamples(150, 20, seed=0)
    values = compute_metrics(targets, probabilities, task=Task.multi_label, resamples=resamples).values
    predictions = probabilities >= 0.5
    expected = {
        "micro_f1": reference.f1_score(targets, predictions, average="micro"),
        "macro_f1": reference.f1_score(targets, predictions, average="macro"),
        "weighted_f1": reference.f1_score(targets, predictions, average="weighted"),
        "subset_accuracy": reference.accuracy_score(targets, predictions),
        "accuracy": reference.accuracy_score(targets, predictions),
        "hamming_loss": reference.hamming_loss(targets, predictions),
        "ranking_loss": reference.label_ranking_loss(targets, probabilities),
        "roc_auc": reference.roc_auc_score(targets, probabilities),
        "average_precision": reference.average_precision_score(targets, probabilities),
        "log_loss": np.mean([reference.log_loss(targets[:, k], probabilities[:, k]) for k in range(7)]),
        "brier": np.mean([reference.brier_score_loss(targets[:, k], probabilities[:, k]) for k in range(7)]),
    }
    assert {name: values[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_unknown_labels_count_as_wrong_and_are_left_out_of_probability_figures() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
    values = single(np.array([0, 1, -1, -1]), probabilities).values
    assert values["accuracy"] == 0.5
    assert values["top_k_accuracy"] == 0.5
    assert values["macro_f1"] == pytest.approx((2 / 4 + 1 + 0) / 3)
    assert values["log_loss"] == pytest.approx(-(np.log(0.9) + np.log(0.8)) / 2)


def test_one_class_leaves_ranking_figures_undefined_and_the_rest_defined() -> None:
    values = single(np.zeros(10, dtype=int), np.tile([0.9, 0.1], (10, 1))).values
    assert np.isnan(values["roc_auc"])
    assert np.isnan(values["average_precision"])
    assert (values["accuracy"], values["macro_f1"], values["mcc"]) == (1.0, 1.0, 0.0)


def test_all_rows_right_still_leaves_doubt() -> None:
    """A bootstrap of equal rows would claim 100 % to 100 %; the exact interval of 10 out of 10 starts at 69.15 %."""
    interval = single(np.zeros(10, dtype=int), np.tile([0.9, 0.1], (10, 1))).intervals["accuracy"]
    assert interval == pytest.approx((0.6915, 1.0), abs=1e-4)


def test_no_interval_has_no_width() -> None:
    """40 rows of two classes, all right: macro F1 knows as much as 40 rows of equal classes, or fewer of unequal ones."""
    equal, unequal = np.arange(40) % 2, (np.arange(40) < 4).astype(int)
    for targets, rows in ((equal, 40.0), (unequal, 14.4)):  # 4 / (1/20 + 1/20), 4 / (1/4 + 1/36)
        metrics = single(targets, np.where(np.eye(2)[targets] > 0, 0.9, 0.1))
        assert metrics.intervals["macro_f1"] == pytest.approx((0.025 ** (1 / rows), 1.0))
        ends = [*metrics.intervals.values(), *(end for ends in metrics.class_intervals.values() for end in ends)]
        bounded = [end for name, end in metrics.intervals.items() if name not in ("log_loss", "brier")]
        assert all(end.high - end.low > 1e-3 for end in (*bounded, *ends[len(metrics.intervals) :]))


def test_every_figure_has_an_interval_that_holds_it() -> None:
    generator = np.random.default_rng(5)
    metrics = single(generator.integers(0, 9, 250), generator.dirichlet(np.ones(9), 250), num_samples=200)
    assert metrics.intervals.keys() == metrics.values.keys()
    outside = [name for name, value in metrics.values.items() if not metrics.intervals[name].contains(value)]
    assert outside == []


def test_intervals_of_25000_rows_take_seconds() -> None:
    generator = np.random.default_rng(6)
    targets = generator.integers(0, 2, 25_000)
    probabilities = softmax(generator.normal(size=(25_000, 2)), axis=1)
    start = time.process_time()
    single(targets, probabilities, num_samples=1000)
    assert time.process_time() - start < 20
