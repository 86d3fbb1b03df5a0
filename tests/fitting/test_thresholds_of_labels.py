"""Several labels a row with few validation rows: folds of the expert over all rows help their thresholds."""

from dataclasses import replace

import numpy as np
import pytest

from textlstm.config import ModelConfig, Task, TrainConfig, TrainingConfig
from textlstm.fitting.cross_fit import stratified_folds
from textlstm.fitting.linear import FEW_ROWS_A_LABEL, needs_folds
from textlstm.models.linear.expert import LinearExpert
from textlstm.models.linear.fits import LinearFits, LinearModels

WORDS = [["goal", "match", "coach"], ["bank", "share", "profit"], ["film", "actor", "song"]]


def _fits() -> LinearFits:
    random = np.random.default_rng(0)
    targets = (random.random((60, 3)) < 0.4).astype(np.float32)
    texts = [
        " ".join(["the", "of", *(random.choice(WORDS[label]) for label in np.flatnonzero(row))]) for row in targets
    ]
    return LinearFits(
        train=texts[:50],
        validation=texts[50:],
        targets=targets,
        num_labels=3,
        task=Task.multi_label,
        config=ModelConfig(),
        pretrained=None,
        spaceless=False,
        baseline=False,
        score_validation=True,
        seed=0,
        folds=stratified_folds(targets, num_folds=5, seed=0),
    )


def test_each_row_is_scored_by_an_expert_that_has_not_seen_it() -> None:
    fits = _fits()
    found = fits.fit().cross_logits
    assert found is not None
    assert fits.folds is not None
    assert found.shape == (60, 3)
    texts, left = fits.train + fits.validation, fits.folds == 2
    others = [text for text, is_left in zip(texts, left, strict=True) if not is_left]
    expert = LinearExpert.fit(
        others, fits.targets[~left], num_labels=3, task=Task.multi_label, config=fits.config, seed=0, pretrained=None
    )
    assert found[left] == pytest.approx(
        expert.logits([text for text, is_left in zip(texts, left, strict=True) if is_left]), abs=1e-5
    )


def test_another_process_gives_the_same_logits() -> None:
    fits = _fits()
    here = fits.fit()
    there = LinearModels.from_message(LinearFits.from_message(fits.to_message()).fit().to_message())
    assert here.cross_logits is not None
    assert there.cross_logits is not None
    assert there.cross_logits.tobytes() == here.cross_logits.tobytes()
    assert there.arrays.keys() == here.arrays.keys()
    assert replace(fits, folds=None).fit().cross_logits is None


def test_folds_are_for_labels_of_few_validation_rows_alone() -> None:
    config = TrainConfig()
    many, few = np.ones((FEW_ROWS_A_LABEL, 3)), np.ones((FEW_ROWS_A_LABEL - 1, 3))
    assert needs_folds(few, config)
    assert not needs_folds(many, config)
    assert not needs_folds(np.zeros(5, np.int64), config)
    assert not needs_folds(few, replace(config, training=TrainingConfig(cross_fit=5)))
    assert not needs_folds(few, replace(config, model=ModelConfig(linear_expert=False)))
