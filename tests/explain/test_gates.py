"""Gate traces: the recomputed states are the encoder's, on every kind of cell and every length."""

import pytest
import torch

from textlstm.config import Encoder, ModelConfig, TrainingConfig
from textlstm.explain.gates import Direction, GateName, trace_encoder
from textlstm.models.network.encoders import build_encoder

LENGTHS = torch.tensor([5, 0, 9, 1])
GATES = {
    Encoder.rnn: set(),
    Encoder.gru: {GateName.reset, GateName.update},
    Encoder.lstm: {GateName.input, GateName.forget, GateName.output},
    Encoder.cnn_lstm: {GateName.input, GateName.forget, GateName.output},
}


def _encoder(family: Encoder, *, bidirectional: bool = True, num_layers: int = 1, scale: float = 1.0):
    torch.manual_seed(0)
    config = ModelConfig(encoder=family, bidirectional=bidirectional, num_layers=num_layers, hidden_size=7, conv_size=8)
    encoder = build_encoder(config, 6).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.mul_(scale)
    return encoder


def _vectors(num_texts: int, num_tokens: int) -> torch.Tensor:
    return torch.randn(num_texts, num_tokens, 6, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("family", list(Encoder))
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_recomputed_states_are_the_encoders(family, bidirectional, num_layers):
    encoder = _encoder(family, bidirectional=bidirectional, num_layers=num_layers)
    trace = trace_encoder(encoder, _vectors(4, 9), LENGTHS)
    assert len(trace.cells) == num_layers * (2 if bidirectional else 1)
    for cell in trace.cells:
        assert set(cell.gates) == GATES[family]
        assert cell.error.max() < 1e-5
    with torch.no_grad():
        states = encoder(_vectors(4, 9), LENGTHS)
    tops = trace.cells[-2:] if bidirectional else trace.cells[-1:]
    for cell, outputs in zip(tops, states.directions, strict=True):
        for text, length in enumerate(states.lengths.tolist()):
            assert torch.allclose(cell.hidden[:length, text], outputs[:length, text], atol=1e-5, rtol=0)


def _train(encoder, vectors: torch.Tensor, lengths: torch.Tensor) -> None:
    """Fit the first unit of each text's last state to the sign of its first number, at the default learning rate."""
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=TrainingConfig().learning_rate)
    for _ in range(100):
        state = encoder(vectors, lengths).forward_states[lengths - 1, torch.arange(len(lengths)), 0]
        loss = ((state - vectors[:, 0, 0].sign()) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), TrainingConfig().clip_norm)
        optimizer.step()


@pytest.mark.parametrize("family", [Encoder.rnn, Encoder.lstm, Encoder.gru])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("trained", [False, True])
def test_every_length_from_0_to_400(family, bidirectional, num_layers, trained):
    encoder = _encoder(family, bidirectional=bidirectional, num_layers=num_layers)
    if trained:
        before = [weight.detach().clone() for weight in encoder.parameters()]
        _train(encoder, _vectors(32, 12), torch.arange(32) % 12 + 1)
        moved = max((old - new).abs().max() for old, new in zip(before, encoder.parameters(), strict=True))
        assert moved > 0.1
    trace = trace_encoder(encoder, _vectors(401, 400), torch.arange(401))
    assert len(trace.cells) == num_layers * (2 if bidirectional else 1)
    assert max(cell.error.max().item() for cell in trace.cells) < 1e-5


@pytest.mark.parametrize("family", [Encoder.rnn, Encoder.lstm, Encoder.gru])
@pytest.mark.parametrize("length", [0, 1, 2, 37, 400])
def test_any_length_with_large_weights(family, length):
    """Weights three times as large as fresh ones saturate the gates, as training does."""
    trace = trace_encoder(_encoder(family, scale=3.0), _vectors(1, length), torch.tensor([length]))
    assert max(cell.error.item() for cell in trace.cells) < 1e-5


@pytest.mark.parametrize("family", [Encoder.rnn, Encoder.lstm, Encoder.gru])
def test_float64_takes_over_where_float32_is_doubtful(monkeypatch, family):
    encoder = _encoder(family, scale=3.0)
    plain = trace_encoder(encoder, _vectors(4, 9), LENGTHS)
    monkeypatch.setattr("textlstm.explain.gates._DOUBTFUL_ERROR", -1)
    exact = trace_encoder(encoder, _vectors(4, 9), LENGTHS)
    for one, other in zip(plain.cells, exact.cells, strict=True):
        assert other.hidden.dtype == other.error.dtype == other.candidate.dtype == torch.float32
        assert {gate.dtype for gate in other.gates.values()} <= {torch.float32}
        assert 0 < (one.hidden - other.hidden).abs().max() < 1e-5  # another precision was at work
        assert other.error.max() < 1e-5


def test_a_changed_weight_is_noticed(monkeypatch):
    """Negative control: gates recomputed from other weights do not give the encoder's states."""
    import textlstm.explain.gates as traces

    right = traces.cell_weights
    monkeypatch.setattr(traces, "cell_weights", lambda cell: right(cell)._replace(recurrent=right(cell).recurrent * 2))
    trace = trace_encoder(_encoder(Encoder.lstm), _vectors(4, 9), LENGTHS)
    assert trace.cells[0].error[2] > 1e-3
    assert trace.cells[0].error[1] == 0  # no token, no state


def test_one_lstm_step_by_hand():
    """One unit with weights 0: biases 0, 1, 0.5, 2 open input, forget, candidate and output."""
    encoder = build_encoder(ModelConfig(bidirectional=False, hidden_size=1), 1).eval()
    cell = encoder.layers[0].forwards
    with torch.no_grad():
        for weight in cell.parameters():
            weight.zero_()
        cell.bias_ih_l0.copy_(torch.tensor([0.0, 1.0, 0.5, 2.0]))
    [trace] = trace_encoder(encoder, torch.zeros(1, 2, 1), torch.tensor([2])).cells
    assert trace.direction is Direction.forwards
    assert trace.gates[GateName.input][0].item() == pytest.approx(0.5)
    assert trace.gates[GateName.forget][0].item() == pytest.approx(0.731059, abs=1e-6)
    assert trace.gates[GateName.output][0].item() == pytest.approx(0.880797, abs=1e-6)
    assert trace.candidate[0].item() == pytest.approx(0.462117, abs=1e-6)
    assert trace.cell[:, 0, 0].tolist() == pytest.approx([0.231059, 0.231059 * 1.731059], abs=1e-6)


def test_hooks_are_gone_afterwards():
    encoder = _encoder(Encoder.gru)
    trace_encoder(encoder, _vectors(4, 9), LENGTHS)
    assert [len(layer._forward_hooks) for layer in encoder.layers] == [0]
