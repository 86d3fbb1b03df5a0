import importlib
import sys
from pathlib import Path

import pytest

from textlstm.config import TrainingConfig, TrainingPrecision
from textlstm.training.job import TrainingJob
from textlstm.training.large_batches import for_batches
from textlstm.training.loop import fit
from textlstm.training.optimizer import learning_rate_factor

sys.path.insert(0, str(Path(__file__).parent))
toy = importlib.import_module("toy")


def test_learning_rates_grow_with_the_root_of_the_batch() -> None:
    config = TrainingConfig(batch_size=32, batch_tokens=5_120, ema_decay=0.99)
    scaled = for_batches(config, mean_length=40)  # 4 times 32 rows of 40 tokens
    assert scaled.learning_rate == pytest.approx(2 * config.learning_rate)
    assert scaled.embedding_learning_rate == pytest.approx(2 * config.embedding_learning_rate)
    assert scaled.ema_decay == pytest.approx(0.99**4)
    assert for_batches(TrainingConfig(ema_decay=0.0, batch_tokens=5_120), mean_length=40).ema_decay == 0.0


def test_batches_of_rows_change_nothing() -> None:
    config = TrainingConfig(batch_size=32)
    assert for_batches(config, mean_length=40) is config


def test_batches_of_tokens_train_on_a_cpu() -> None:
    config = toy.config(epochs=4, batch_tokens=256, deterministic=False, precision=TrainingPrecision.fp32)
    split = toy.split(400, seed=1)
    job = TrainingJob(toy.network(), split, toy.split(120, seed=2), config=config, task=toy.TASK, seed=3)
    result = fit(job)
    growth = 256 / (config.batch_size * job.mean_length)
    assert growth > 1
    last = result.history[-1]
    assert last.num_steps < 400 / config.batch_size
    assert last.macro_f1 > 0.9
    factor = learning_rate_factor(config.schedule, 1 / 4, warmup_fraction=config.warmup_fraction)
    assert result.history[0].learning_rate == pytest.approx(config.learning_rate * growth**0.5 * factor)
