"""A task that a small network learns in seconds: which of two word groups prevails in a text."""

import numpy as np
import torch

from textlstm.config import ModelConfig, Task, TrainingConfig
from textlstm.models.network.inputs import EncodedSplit, encode_split
from textlstm.models.network.network import NetworkSizes, TextNetwork

VOCABULARY_SIZE = 42
TASK = Task.single_label


def split(num_rows: int, *, seed: int, num_labels: int = 3, multi_label: bool = False) -> EncodedSplit:
    """Texts of 0 to 12 tokens; two of three tokens come from the group of the label."""
    random = np.random.default_rng(seed)
    labels = random.choice(num_labels, num_rows, p=_shares(num_labels))
    lengths = random.integers(1, 13, num_rows)
    lengths[0] = 0
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    owner = np.repeat(labels, lengths)
    group = (VOCABULARY_SIZE - 2) // num_labels
    own = 2 + owner * group + random.integers(0, group, len(owner))
    other = random.integers(2, VOCABULARY_SIZE, len(owner))
    token_ids = np.where(random.random(len(owner)) < 0.67, own, other)
    targets = np.eye(num_labels, dtype=np.float32)[labels] if multi_label else labels
    return encode_split(token_ids, offsets, None, targets, max_tokens=400)


def _shares(num_labels: int) -> np.ndarray:
    shares = 0.5 ** np.arange(num_labels)
    return shares / shares.sum()


def network(*, seed: int = 1, num_labels: int = 3, **settings: object) -> TextNetwork:
    torch.manual_seed(seed)
    model = ModelConfig(
        **{"hidden_size": 8, "embedding_size": 6, "locked_dropout": 0.1, "head_dropout": 0.1} | settings
    )
    return TextNetwork(model, NetworkSizes(VOCABULARY_SIZE, num_labels))


def config(**settings: object) -> TrainingConfig:
    quick = {"epochs": 2, "batch_size": 16, "learning_rate": 0.02, "embedding_learning_rate": 0.02, "ema_decay": 0.9}
    return TrainingConfig(**{**quick, "deterministic": True, "patience": 0} | settings)
