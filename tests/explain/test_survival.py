"""A network that must remember one early word: the survival view finds it."""

import numpy as np
import torch

from textlstm.config import Encoder, ModelConfig, Pooling, Task, TrainingConfig
from textlstm.explain.gates import surviving_share, trace_encoder
from textlstm.models.network.batch import Batch, DeviceSplit
from textlstm.models.network.inputs import EncodedSplit
from textlstm.models.network.network import NetworkSizes, TextNetwork, predict_logits
from textlstm.training.job import TrainingJob
from textlstm.training.loop import fit

NUM_WORDS, NUM_KEYS, LENGTH = 30, 3, 12
FIRST_KEY = 2  # after <pad> and <unk>


def rows_with_an_early_key(num_rows: int, *, seed: int) -> tuple[EncodedSplit, np.ndarray]:
    """Return texts of filler words with one of three key words among the first three; the key is the label."""
    random = np.random.default_rng(seed)
    words = random.integers(FIRST_KEY + NUM_KEYS, NUM_WORDS, size=(num_rows, LENGTH))
    targets, places = random.integers(0, NUM_KEYS, num_rows), random.integers(0, 3, num_rows)
    words[np.arange(num_rows), places] = FIRST_KEY + targets
    offsets = np.arange(num_rows + 1, dtype=np.int64) * LENGTH
    return EncodedSplit(words.reshape(-1).astype(np.int32), offsets, None, targets.astype(np.int64)), places


def test_the_key_word_survives() -> None:
    """Default units, dropout and training; benchmarks/early_key_word.py does it on many corpora and for GRUs."""
    model = ModelConfig(encoder=Encoder.lstm, bidirectional=False, pooling=Pooling.last)
    train, _ = rows_with_an_early_key(1000, seed=2024)
    validation, _ = rows_with_an_early_key(200, seed=2027)
    test, places = rows_with_an_early_key(300, seed=2025)
    torch.manual_seed(2026)
    network = TextNetwork(model, NetworkSizes(vocabulary_size=NUM_WORDS, num_labels=NUM_KEYS))
    config = TrainingConfig(deterministic=True)
    fit(TrainingJob(network, train, validation, config=config, task=Task.single_label, seed=2026))
    network.eval()
    assert (predict_logits(network, test).argmax(axis=1) == test.targets).mean() > 0.98

    batch = DeviceSplit(test, torch.device("cpu")).batch(torch.arange(300), width=LENGTH)
    assert share_of_leading_keys(network, batch, places) >= 0.95

    torch.manual_seed(0)  # negative control: a network that has learned nothing does not care for the key
    fresh = TextNetwork(model, NetworkSizes(vocabulary_size=NUM_WORDS, num_labels=NUM_KEYS)).eval()
    assert share_of_leading_keys(fresh, batch, places) < 0.2


def share_of_leading_keys(network: TextNetwork, batch: Batch, places: np.ndarray) -> float:
    """Return in which part of the texts the word of which most is left is the one at `places`."""
    with torch.no_grad():
        [cell] = trace_encoder(network.encoder, network.embed(batch), batch.lengths).cells
    assert cell.error.max() < 1e-5
    return float((surviving_share(cell, batch.lengths).argmax(dim=0).numpy() == places).mean())
