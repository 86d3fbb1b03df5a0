"""Faster twins of a network say what the network says."""

import pytest
import torch

from textlstm.config import Encoder, ModelConfig, Pooling, Precision
from textlstm.inference.torch_backend import CastNetwork, FoldedNetwork, can_fold, prepare_inference
from textlstm.models.network.batch import Batch
from textlstm.models.network.network import NetworkSizes, TextNetwork
from textlstm.models.network.precision import has_bf16_kernels

needs_bf16 = pytest.mark.skipif(not has_bf16_kernels("cpu"), reason="this processor has no bf16 kernels for LSTMs")
SIZES = NetworkSizes(vocabulary_size=40, num_labels=3)


def _batch() -> Batch:
    torch.manual_seed(3)
    lengths = torch.tensor([4, 0, 9, 1, 9, 6])
    token_ids = torch.randint(1, 45, (6, 9)) * (torch.arange(9) < lengths.unsqueeze(1))
    return Batch(token_ids, None, lengths)


def _network(**settings: object) -> TextNetwork:
    torch.manual_seed(0)
    network = TextNetwork(ModelConfig(hidden_size=16, embedding_size=12, **settings), SIZES).eval()
    torch.nn.init.normal_(network.embedder.words.weight[1:])
    return network


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("pooling", [Pooling.max, Pooling.mean, Pooling.max_mean])
def test_folded_network_equals_network(bidirectional, pooling):
    network = _network(bidirectional=bidirectional, pooling=pooling)
    folded = prepare_inference(network, precision=Precision.fp32)
    assert isinstance(folded, FoldedNetwork)
    with torch.inference_mode():
        assert torch.allclose(folded(_batch()), network(_batch()), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "settings",
    [
        {"encoder": Encoder.gru},
        {"encoder": Encoder.cnn_lstm},
        {"num_layers": 2},
        {"pooling": Pooling.attention},
        {"pos_embedding_size": 4},
        {"char_cnn_size": 4},
        {"subword_buckets": 10},
    ],
)
def test_other_networks_are_used_as_they_are(settings):
    network = _network(**settings)
    assert not can_fold(network)
    assert prepare_inference(network, precision=Precision.fp32) is network


def test_a_table_that_would_be_too_large_is_not_folded(monkeypatch):
    monkeypatch.setattr("textlstm.inference.torch_backend.MAX_TABLE_BYTES", 40 * 2 * 4 * 16 * 4 - 1)
    assert not can_fold(_network())


@needs_bf16
@pytest.mark.parametrize("encoder", list(Encoder))
def test_cast_network_is_close_and_leaves_the_original_alone(encoder):
    network = _network(encoder=encoder, num_layers=2, pooling=Pooling.attention)
    cast = prepare_inference(network, precision=Precision.bf16)
    assert isinstance(cast, CastNetwork)
    with torch.inference_mode():
        expected, logits = network(_batch()), cast(_batch())
    assert logits.dtype is torch.float32
    assert expected.dtype is torch.float32
    assert 0 < (logits - expected).abs().max() < 0.03


def test_all_texts_empty():
    network = _network()
    empty = Batch(torch.zeros(2, 0, dtype=torch.int64), None, torch.zeros(2, dtype=torch.int64))
    for precision in Precision:
        logits = prepare_inference(network, precision=precision)(empty)
        assert torch.allclose(logits, network.head.output.bias.expand(2, 3), atol=1e-6)
