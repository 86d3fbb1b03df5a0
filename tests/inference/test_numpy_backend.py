"""NumpyLSTM gives the logits of the network, without torch."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from textlstm.config import Encoder, ModelConfig, Pooling
from textlstm.inference.numpy_lstm import NumpyLSTM, supports
from textlstm.inference.one_text import OneTextLSTM
from textlstm.models.network.batch import Batch
from textlstm.models.network.network import NetworkSizes, TextNetwork

LENGTHS = [9, 9, 6, 4, 1, 0]
SIZES = NetworkSizes(vocabulary_size=40, num_labels=3)


def _network(**settings: object) -> TextNetwork:
    torch.manual_seed(0)
    network = TextNetwork(ModelConfig(hidden_size=16, embedding_size=12, **settings), SIZES).eval()
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=0.5)
    return network


def _numpy_logits(network: TextNetwork, batch: Batch, config: ModelConfig) -> np.ndarray:
    network_in_numpy = NumpyLSTM.from_arrays(config, network.to_arrays())
    flat = [row[:length].numpy() for row, length in zip(batch.token_ids, LENGTHS, strict=True)]
    tags = (
        None
        if batch.pos_ids is None
        else np.concatenate([row[:length].numpy() for row, length in zip(batch.pos_ids, LENGTHS, strict=True)])
    )
    lengths = np.array(LENGTHS)
    return network_in_numpy.logits(
        network_in_numpy.word_tables(np.concatenate(flat), tags), np.cumsum(lengths) - lengths, lengths
    )


@pytest.mark.parametrize("pos_embedding_size", [0, 4])
@pytest.mark.parametrize("dense_size", [0, 5])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("pooling", [Pooling.max, Pooling.mean, Pooling.max_mean])
def test_numpy_logits_equal_those_of_the_network(bidirectional, pooling, dense_size, pos_embedding_size):
    config = ModelConfig(
        hidden_size=16, embedding_size=12, bidirectional=bidirectional, pooling=pooling, dense_size=dense_size,
        pos_embedding_size=pos_embedding_size,
    )  # fmt: skip
    network = _network(
        bidirectional=bidirectional, pooling=pooling, dense_size=dense_size, pos_embedding_size=pos_embedding_size
    )
    torch.manual_seed(3)
    inside = torch.arange(9) < torch.tensor(LENGTHS).unsqueeze(1)
    token_ids = torch.randint(1, 45, (6, 9)) * inside  # ids from 40 on are unknown words
    pos_ids = torch.randint(0, 19, (6, 9)) * inside if pos_embedding_size else None
    batch = Batch(token_ids, pos_ids, torch.tensor(LENGTHS))
    with torch.inference_mode():
        expected = network(batch).numpy()
    assert expected.std() > 0.1  # they differ, so that equality says something
    np.testing.assert_allclose(_numpy_logits(network, batch, config), expected, atol=2e-6)


@pytest.mark.parametrize("pos_embedding_size", [0, 4])
@pytest.mark.parametrize("dense_size", [0, 5])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("pooling", [Pooling.max, Pooling.mean, Pooling.max_mean])
def test_a_text_alone_gets_the_logits_that_it_gets_among_others(bidirectional, pooling, dense_size, pos_embedding_size):
    settings = {"bidirectional": bidirectional, "pooling": pooling, "dense_size": dense_size}
    settings["pos_embedding_size"] = pos_embedding_size
    network = NumpyLSTM.from_arrays(
        ModelConfig(hidden_size=16, embedding_size=12, **settings), _network(**settings).to_arrays()
    )
    random = np.random.default_rng(3)
    lengths, starts = np.array(LENGTHS), np.cumsum(LENGTHS) - LENGTHS
    token_ids = random.integers(1, 45, lengths.sum()).astype(np.int32)
    pos_ids = random.integers(0, 19, lengths.sum()) if pos_embedding_size else None
    together = network.logits(network.word_tables(token_ids, pos_ids), starts, lengths)
    alone = OneTextLSTM(network)
    for row, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        part = slice(start, start + length)
        tags = None if pos_ids is None else pos_ids[part]
        np.testing.assert_allclose(alone.logits(token_ids[part], tags), together[row], atol=2e-6)


def test_calls_from_several_threads_get_their_own_logits_and_leave_the_number_of_threads():
    network = OneTextLSTM(NumpyLSTM.from_arrays(ModelConfig(hidden_size=16, embedding_size=12), _network().to_arrays()))
    texts = [np.arange(1 + number % 7, 20 + number % 11, dtype=np.int32) for number in range(200)]
    expected = [network.logits(text, None) for text in texts]
    before = [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: network.logits(text, None), texts))
    assert np.array_equal(found, expected)
    assert [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"] == before


def test_texts_without_tokens_get_the_bias():
    network = _network()
    network_in_numpy = NumpyLSTM.from_arrays(ModelConfig(hidden_size=16, embedding_size=12), network.to_arrays())
    words = network_in_numpy.word_tables(np.zeros(0, np.int32), None)
    nothing = np.zeros(2, np.int64)
    bias = network.head.output.bias.detach().numpy()
    np.testing.assert_allclose(network_in_numpy.logits(words, nothing, nothing), np.stack([bias, bias]), atol=1e-7)


@pytest.mark.parametrize(
    "settings",
    [
        {"encoder": Encoder.gru},
        {"encoder": Encoder.cnn_lstm},
        {"num_layers": 2},
        {"pooling": Pooling.attention},
        {"pooling": Pooling.last},
        {"char_cnn_size": 4},
        {"subword_buckets": 10},
    ],
)
def test_other_networks_are_not_supported(settings):
    assert supports(ModelConfig())
    assert not supports(ModelConfig(**settings))


def test_missing_parts_of_speech_are_reported():
    config = ModelConfig(hidden_size=16, embedding_size=12, pos_embedding_size=4)
    network_in_numpy = NumpyLSTM.from_arrays(config, _network(pos_embedding_size=4).to_arrays())
    with pytest.raises(ValueError, match="the network reads parts of speech, but the texts have none"):
        network_in_numpy.word_tables(np.ones(3, np.int32), None)
