"""Rows to evaluate, made from a seed."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import expit, softmax

from textlstm.config import EvaluationConfig, Task
from textlstm.evaluation.scored_rows import ScoredRows

MakeRows = Callable[..., ScoredRows]


def make_rows(
    num_rows: int = 300,
    labels: tuple[str, ...] = ("earn", "acq", "crude", "trade"),
    *,
    task: Task = Task.single_label,
    seed: int = 0,
    **changes: object,
) -> ScoredRows:
    """A model with a recurrent branch and an expert, right in most rows."""
    generator = np.random.default_rng(seed)
    size = (num_rows, len(labels))
    if task is Task.single_label:
        targets = generator.integers(0, len(labels), num_rows)
        signal = 1.6 * (targets[:, None] == np.arange(len(labels)))
    else:
        targets = generator.random(size) < 0.3
        signal = np.where(targets, 1.5, -1.5)
    recurrent, expert = (signal + generator.normal(size=size) for _ in range(2))
    fields: dict[str, object] = {
        "labels": labels,
        "task": task,
        "ids": [f"row{index}" for index in range(num_rows)],
        "texts": [f"text number {index}" for index in range(num_rows)],
        "targets": targets,
        "probabilities": _probabilities(recurrent + expert, task),
        "recurrent_probabilities": _probabilities(recurrent, task),
        "expert_probabilities": _probabilities(expert, task),
        "baseline_predictions": expert.argmax(axis=1) if task is Task.single_label else expert > 0,
        "uncalibrated_probabilities": _probabilities(3 * (recurrent + expert), task),
        "num_tokens": generator.integers(1, 60, num_rows),
        "num_removed": generator.integers(0, 4, num_rows),
        "unknown_share": generator.random(num_rows) / 5,
        "pos_share": generator.dirichlet([3.0, 2.0, 1.0], num_rows),
        "pos_tags": ("NOUN", "VERB", "ADJ"),
        "columns": {"source": [("web", "print")[index % 2] for index in range(num_rows)]},
    }
    return ScoredRows(**{**fields, **changes})  # type: ignore[arg-type]


def _probabilities(logits: np.ndarray, task: Task) -> np.ndarray:
    return softmax(logits, axis=1) if task is Task.single_label else expit(logits)


@pytest.fixture(scope="session")
def rows_of() -> MakeRows:
    return make_rows


@pytest.fixture
def quick() -> EvaluationConfig:
    """Few resamples: enough where the interval itself is not looked at."""
    return EvaluationConfig(bootstrap_samples=50, num_examples=5)
