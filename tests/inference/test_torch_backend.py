"""What stands in for the networks when many texts are computed has the networks' logits."""

from pathlib import Path

import numpy as np
import pytest
import torch

from textlstm.config import Device, Encoder, ModelConfig, Pooling, Precision
from textlstm.inference.torch_backend import CastNetwork, TorchNetworks
from textlstm.model_folder import load_saved_model
from textlstm.models.network.batch import Batch
from textlstm.models.network.inputs import EncodedSplit
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


@needs_bf16
@pytest.mark.parametrize("encoder", list(Encoder))
def test_cast_network_is_close_and_leaves_the_original_alone(encoder):
    network = _network(encoder=encoder, num_layers=2, pooling=Pooling.attention)
    cast = CastNetwork(network)
    with torch.inference_mode():
        expected, logits = network(_batch()), cast(_batch())
    assert logits.dtype is torch.float32
    assert expected.dtype is torch.float32
    assert 0 < (logits - expected).abs().max() < 0.03


def test_all_texts_empty():
    network = _network()
    empty = Batch(torch.zeros(2, 0, dtype=torch.int64), None, torch.zeros(2, dtype=torch.int64))
    for module in (network, CastNetwork(network)):
        assert torch.allclose(module(empty), network.head.output.bias.expand(2, 3), atol=1e-6)


@pytest.mark.parametrize("precision", [Precision.fp32, pytest.param(Precision.bf16, marks=needs_bf16)])
def test_many_texts_have_the_logits_of_few(precision: Precision) -> None:
    saved_model = load_saved_model(Path(__file__).parents[1] / "golden" / "model")
    networks = TorchNetworks(saved_model, device=Device.cpu, num_threads=None, precision=precision)
    random = np.random.default_rng(0)
    lengths = random.integers(0, 9, 50)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    split = EncodedSplit(
        token_ids=random.integers(1, len(saved_model.vocabulary), offsets[-1], dtype=np.int32),
        offsets=offsets,
        pos_ids=random.integers(0, 17, offsets[-1]).astype(np.uint8),
        targets=np.zeros(50, np.int64),
    )
    (few,) = networks.logits(split)
    networks.prepare_for_many()
    (many,) = networks.logits(split)
    np.testing.assert_allclose(many, few, rtol=0, atol=2e-6 if precision is Precision.fp32 else 2e-3)
    assert few.std() > 0.02  # they differ, so that equality says something
    assert not np.array_equal(many, few)  # another way to compute them
