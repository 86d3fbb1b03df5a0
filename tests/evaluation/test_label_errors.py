"""Flipped labels come first; rows never train the model that rates them; odd inputs are rated too."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from textlstm.config import Task
from textlstm.evaluation.label_errors import NUM_FOLDS, assign_folds, find_label_errors, out_of_fold_probabilities

SPORT = ["goal", "match", "coach", "league", "striker"]
MONEY = ["bank", "share", "profit", "market", "bond"]


def small_corpus(num_rows: int, *, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Texts of four topic words and two words of no meaning."""
    generator = np.random.default_rng(seed)
    targets = np.arange(num_rows) % 2
    texts = [
        " ".join([*generator.choice([SPORT, MONEY][target], 4), *generator.choice(["the", "a", "it"], 2)])
        for target in targets
    ]
    return texts, targets


def test_flipped_labels_come_first() -> None:
    texts, targets = small_corpus(200)
    flipped = [3, 50, 101, 144, 199]
    given = targets.copy()
    given[flipped] = 1 - given[flipped]
    probabilities = out_of_fold_probabilities(texts, given, num_labels=2, task=Task.single_label, seed=0)
    errors = find_label_errors(given, probabilities, task=Task.single_label)
    assert sorted(errors.ranking[:5].tolist()) == flipped
    assert errors.is_likely.sum() >= 4  # confident learning estimates how many are wrong
    assert set(np.flatnonzero(errors.is_likely)) <= set(flipped)
    assert errors.suggested[flipped].tolist() == targets[flipped].tolist()


def test_clean_labels_are_left_alone() -> None:
    texts, targets = small_corpus(200)
    probabilities = out_of_fold_probabilities(texts, targets, num_labels=2, task=Task.single_label, seed=0)
    assert find_label_errors(targets, probabilities, task=Task.single_label).is_likely.sum() == 0


def test_flipped_multi_labels_come_first() -> None:
    texts, topic = small_corpus(200)
    targets = topic[:, None] == np.arange(2)
    given = targets.copy()
    flipped = [10, 61, 130]
    given[flipped] = ~given[flipped]
    probabilities = out_of_fold_probabilities(texts, given, num_labels=2, task=Task.multi_label, seed=0)
    errors = find_label_errors(given, probabilities, task=Task.multi_label)
    assert sorted(errors.ranking[:3].tolist()) == flipped
    assert errors.suggested[flipped].tolist() == targets[flipped].tolist()


def test_no_row_trains_the_model_that_rates_it() -> None:
    """Every row has a word of its own, which alone tells the class: a leak would rate every label as sure."""
    targets = np.arange(100) % 2
    texts = [f"own{index}" for index in range(100)]
    probabilities = out_of_fold_probabilities(texts, targets, num_labels=2, task=Task.single_label, seed=0)
    assert probabilities[np.arange(100), targets].max() < 0.6


def test_classes_are_spread_evenly_over_folds_and_every_row_has_one() -> None:
    targets = np.repeat([0, 1, 2], [50, 10, 5])
    folds = assign_folds(targets, seed=0)
    assert [np.bincount(folds[targets == label], minlength=NUM_FOLDS).tolist() for label in range(3)] == [
        [10] * 5,
        [2] * 5,
        [1] * 5,
    ]
    assert not np.array_equal(folds, assign_folds(targets, seed=1))


def test_labels_with_one_row_and_empty_texts_are_rated() -> None:
    texts, targets = small_corpus(60)
    texts[0], targets[1] = "   ", 2
    probabilities = out_of_fold_probabilities(texts, targets, num_labels=3, task=Task.single_label, seed=0)
    errors = find_label_errors(targets, probabilities, task=Task.single_label)
    assert np.isfinite(errors.quality).all()
    assert probabilities.sum(axis=1) == pytest.approx(1.0)
    assert errors.ranking[0] == 1


@pytest.mark.long
@pytest.mark.parametrize("seed", [0, 1])
def test_five_percent_flipped_labels_of_a_news_corpus_are_found(corpora: Path, seed: int) -> None:
    """At least 60 % of the first 500 rows of the table are flipped ones (5 % of 9,772 rows are 489)."""
    with gzip.open(corpora / "ag_news_10k" / "train.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    labels = sorted({row["label"] for row in rows})
    targets = np.array([labels.index(row["label"]) for row in rows])
    generator = np.random.default_rng(seed)
    flipped = generator.choice(len(rows), round(0.05 * len(rows)), replace=False)
    given = targets.copy()
    given[flipped] = (targets[flipped] + generator.integers(1, len(labels), len(flipped))) % len(labels)
    probabilities = out_of_fold_probabilities(
        [row["text"] for row in rows], given, num_labels=len(labels), task=Task.single_label, seed=seed
    )
    first = find_label_errors(given, probabilities, task=Task.single_label).ranking[:500]
    assert np.isin(first, flipped).mean() >= 0.6
