"""Encoders: equal to packing, indifferent to padding, legal for empty texts, and able to learn."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from textlstm.config import Encoder, ModelConfig
from textlstm.models.network.encoders import RecurrentEncoder, build_encoder, cell_weights

FAMILIES = [Encoder.rnn, Encoder.lstm, Encoder.gru]
LENGTHS = torch.tensor([5, 1, 9, 3])


def _vectors(seed: int = 0) -> torch.Tensor:
    return torch.randn(4, 9, 6, generator=torch.Generator().manual_seed(seed))


def _torch_twin(encoder: RecurrentEncoder, family: Encoder, num_layers: int) -> nn.RNNBase:
    """Return torch's own bidirectional module with the weights of `encoder`."""
    modules = {Encoder.rnn: nn.RNN, Encoder.lstm: nn.LSTM, Encoder.gru: nn.GRU}
    twin = modules[family](6, 7, num_layers=num_layers, bidirectional=True, batch_first=True)
    with torch.no_grad():
        for number, layer in enumerate(encoder.layers):
            for suffix, cell in (("", layer.forwards), ("_reverse", layer.backwards)):
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                    getattr(twin, f"{name}_l{number}{suffix}").copy_(getattr(cell, f"{name}_l0"))
    return twin


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("num_layers", [1, 2])
def test_bidirectional_equals_packed_torch_module(family, num_layers):
    torch.manual_seed(0)
    encoder = RecurrentEncoder(family, 6, hidden_size=7, num_layers=num_layers).eval()
    packed = pack_padded_sequence(_vectors(), LENGTHS, batch_first=True, enforce_sorted=False)
    outputs, hidden = _torch_twin(encoder, family, num_layers)(packed)
    expected, _ = pad_packed_sequence(outputs, batch_first=True)
    last = hidden[0] if family is Encoder.lstm else hidden
    encoded = encoder(_vectors(), LENGTHS)
    for i, length in enumerate(LENGTHS.tolist()):
        assert torch.allclose(encoded.states[i, :length], expected[i, :length], atol=1e-6, rtol=0)
    assert torch.allclose(encoded.last, torch.cat([last[-2], last[-1]], dim=1), atol=1e-6, rtol=0)


def test_padded_torch_module_is_wrong_without_packing():
    """The control of the test above: what it guards against does differ."""
    torch.manual_seed(0)
    encoder = RecurrentEncoder(Encoder.lstm, 6, hidden_size=7).eval()
    naive, _ = _torch_twin(encoder, Encoder.lstm, 1)(_vectors())
    assert (naive[1, :1] - encoder(_vectors(), LENGTHS).states[1, :1]).abs().max() > 0.01


@pytest.mark.parametrize("family", list(Encoder))
@pytest.mark.parametrize("bidirectional", [False, True])
def test_row_does_not_depend_on_batch_mates_or_padding(family, bidirectional):
    torch.manual_seed(1)
    config = ModelConfig(encoder=family, bidirectional=bidirectional, hidden_size=7, conv_size=8, num_layers=2)
    encoder = build_encoder(config, 6).eval()
    together = encoder(_vectors(), LENGTHS)
    for i, length in enumerate(LENGTHS.tolist()):
        alone = encoder(_vectors()[i : i + 1, :length], LENGTHS[i : i + 1])
        steps = int(alone.lengths[0])
        assert torch.allclose(alone.states[0], together.states[i, :steps], atol=1e-6, rtol=0)
        assert torch.allclose(alone.last[0], together.last[i], atol=1e-6, rtol=0)


@pytest.mark.parametrize("family", list(Encoder))
@pytest.mark.parametrize("num_steps", [0, 4])
def test_texts_of_length_zero_are_legal(family, num_steps):
    encoder = build_encoder(ModelConfig(encoder=family, hidden_size=7), 6)
    vectors = torch.randn(3, num_steps, 6, requires_grad=True)
    encoded = encoder(vectors, torch.zeros(3, dtype=torch.int64))
    assert torch.equal(encoded.last, torch.zeros(3, 14))
    encoded.last.sum().backward()
    assert torch.equal(vectors.grad, torch.zeros_like(vectors))


def test_convolution_shortens_the_sequence():
    encoder = build_encoder(ModelConfig(encoder=Encoder.cnn_lstm, conv_pool=2, hidden_size=7), 6)
    encoded = encoder(_vectors(), LENGTHS)
    assert encoded.lengths.tolist() == [3, 1, 5, 2]
    assert encoded.states.shape == (4, 5, 14)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_matches_finite_differences(family):
    torch.manual_seed(0)
    encoder = RecurrentEncoder(family, 3, hidden_size=2, num_layers=2).double()
    vectors = torch.randn(3, 4, 3, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([4, 0, 2])
    mask = (torch.arange(4) < lengths.unsqueeze(1)).unsqueeze(-1)

    def visible(inputs: torch.Tensor) -> torch.Tensor:
        return encoder(inputs, lengths).states * mask

    assert torch.autograd.gradcheck(visible, (vectors,), atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_initial_weights_are_orthogonal_and_remember(family):
    encoder = RecurrentEncoder(family, 6, hidden_size=8)
    weights = cell_weights(encoder.layers[0].forwards)
    for block in weights.recurrent.split(8):
        assert torch.allclose(block @ block.T, torch.eye(8), atol=1e-5)
    forget = weights.input_bias[8:16]
    assert forget.tolist() == ([1.0] * 8 if family is Encoder.lstm else [0.0] * len(forget))
    assert weights.recurrent_bias.abs().sum() == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_recurrent_dropout_changes_training_only(family):
    torch.manual_seed(0)
    encoder = RecurrentEncoder(family, 6, hidden_size=7, recurrent_dropout=0.5)
    plain = RecurrentEncoder(family, 6, hidden_size=7)
    plain.load_state_dict(encoder.state_dict())
    expected = plain(_vectors(), LENGTHS).last
    assert torch.equal(encoder.eval()(_vectors(), LENGTHS).last, expected)
    encoder.train()
    first, second = encoder(_vectors(), LENGTHS).last, encoder(_vectors(), LENGTHS).last
    assert not torch.allclose(first, expected, atol=1e-4)
    assert not torch.allclose(first, second, atol=1e-4)
    first.sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.layers[0].parameters())


@pytest.mark.parametrize("family", [*FAMILIES, Encoder.cnn_lstm])
def test_digits_row_by_row_reach_95_percent(family):
    """scikit-learn's 8x8 digits as sequences of 8 rows of 8 grey values: encoders take any float tensor."""
    datasets = pytest.importorskip("sklearn.datasets")
    digits = datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    images = torch.tensor(digits.images[order] / 16, dtype=torch.float32)
    targets = torch.tensor(digits.target[order])
    torch.manual_seed(0)
    config = ModelConfig(encoder=family, hidden_size=48, conv_size=32, conv_width=3, locked_dropout=0.0)
    encoder = build_encoder(config, 8)
    head = nn.Linear(encoder.output_size, 10)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=5e-3)
    for _ in range(12):
        for rows in torch.randperm(1400).split(64):
            optimizer.zero_grad()
            logits = head(encoder(images[rows], torch.full((len(rows),), 8)).last)
            nn.functional.cross_entropy(logits, targets[rows]).backward()
            optimizer.step()
    predicted = head(encoder(images[1400:], torch.full((397,), 8)).last).argmax(dim=1)
    assert (predicted == targets[1400:]).float().mean() >= 0.95
