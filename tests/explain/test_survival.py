"""A network that must remember one early word: the survival view finds it."""

import numpy as np
import pytest
import torch

from textlstm.config import Encoder, ModelConfig, Pooling
from textlstm.explain.survival import surviving_share
from textlstm.explain.traces import trace_encoder
from textlstm.models.batch import Batch
from textlstm.models.network import NetworkSizes, TextNetwork
from textlstm.training.batching import DeviceSplit
from textlstm.training.encoding import EncodedSplit
from textlstm.training.prediction import predict_logits

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


def learn(network: TextNetwork, train: EncodedSplit) -> None:
    """Fit in a few hundred plain steps."""
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    split = DeviceSplit(train, torch.device("cpu"))
    for _ in range(8):
        for rows in torch.randperm(train.num_rows).split(50):
            loss = torch.nn.functional.cross_entropy(network(split.batch(rows, width=LENGTH)), split.targets[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    network.eval()


@pytest.mark.parametrize("family", [Encoder.lstm, Encoder.gru])
def test_the_key_word_survives(family):
    model = ModelConfig(
        encoder=family,
        bidirectional=False,
        pooling=Pooling.last,
        hidden_size=24,
        embedding_size=16,
        word_dropout=0.0,
        locked_dropout=0.0,
        head_dropout=0.0,
    )
    train, _ = rows_with_an_early_key(1500, seed=0)
    test, places = rows_with_an_early_key(300, seed=1)
    torch.manual_seed(0)
    network = TextNetwork(model, NetworkSizes(vocabulary_size=NUM_WORDS, num_labels=NUM_KEYS))
    if family is Encoder.gru:  # a memory that is open to begin with, as the LSTM's forget bias of 1 makes it
        with torch.no_grad():
            network.encoder.layers[0].forwards.bias_ih_l0[24:48] = 1.0
    learn(network, train)
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
