"""What changes when a step takes more tokens than the batches that the learning rates were chosen for.

On the CPU a step has `training.batch_size` rows. A GPU wants ten times as many, and gets them by
`training.batch_tokens`. The rules are those of Malladi et al. (On the SDEs and Scaling Rules for Adaptive Gradient
Algorithms, 2022): with k times the batch, Adam's learning rate grows by the square root of k, and an average that
forgets by d a step forgets by d^k.
"""

from dataclasses import replace

from textlstm.config import TrainingConfig


def batch_growth(config: TrainingConfig, *, mean_length: float) -> float:
    """Return by how much a batch is larger than `batch_size` rows of `mean_length` tokens; 1 without `batch_tokens`."""
    return config.batch_tokens / (config.batch_size * max(mean_length, 1.0)) if config.batch_tokens else 1.0


def for_batches(config: TrainingConfig, *, mean_length: float) -> TrainingConfig:
    """Return `config` with the learning rates and the decay of the average that its batches want."""
    growth = batch_growth(config, mean_length=mean_length)
    if growth == 1.0:
        return config
    return replace(
        config,
        learning_rate=config.learning_rate * growth**0.5,
        embedding_learning_rate=config.embedding_learning_rate * growth**0.5,
        ema_decay=config.ema_decay**growth if config.ema_decay else 0.0,
    )
