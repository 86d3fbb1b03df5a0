"""Two threads: the same numbers as one after the other, truly at once, and nothing of them is left behind."""

import threading

import pytest
import torch
from torch import Tensor

from textlstm.config import Encoder, ModelConfig, Pooling
from textlstm.models.network.batch import Batch
from textlstm.models.network.network import NetworkSizes, TextNetwork
from textlstm.models.network.parallel import Layer, both, both_layers, two_threads

LENGTHS = torch.tensor([5, 1, 9, 0, 3])


@pytest.fixture(autouse=True)
def _two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def _network(**settings: object) -> TextNetwork:
    torch.manual_seed(0)
    return TextNetwork(ModelConfig(hidden_size=8, embedding_size=6, **settings), NetworkSizes(30, 3))


def _batch() -> Batch:
    token_ids = torch.randint(1, 30, (5, 9), generator=torch.Generator().manual_seed(1))
    return Batch(token_ids.masked_fill(torch.arange(9) >= LENGTHS[:, None], 0), None, LENGTHS, None)


def _gradients(network: TextNetwork, *, seed: int = 3) -> dict[str, Tensor]:
    network.zero_grad()
    torch.manual_seed(seed)
    network(_batch()).square().sum().backward()
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("encoder", [Encoder.lstm, Encoder.gru, Encoder.rnn])
@pytest.mark.parametrize("pooling", [Pooling.max_mean, Pooling.last, Pooling.attention])
def test_gradients_are_those_of_one_thread(encoder, pooling):
    network = _network(encoder=encoder, pooling=pooling, num_layers=2, recurrent_dropout=0.3)
    expected = _gradients(network)
    with two_threads():
        found = _gradients(network)
        other_masks = _gradients(network, seed=4)
    assert found.keys() == expected.keys() == dict(network.named_parameters()).keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-6)
    assert any((other_masks[name] - gradient).abs().max() > 1e-3 for name, gradient in expected.items())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_prediction_is_that_of_one_thread(mode):
    network = _network().eval()
    with mode():
        expected = network(_batch())
        with two_threads():
            found = network(_batch())
    assert not found.requires_grad
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_autocast_reaches_both_threads():
    weight = torch.randn(4, 4, requires_grad=True)
    with two_threads(), torch.autocast("cpu", dtype=torch.bfloat16):
        first, second = both_layers(*[Layer(torch.mm, (torch.eye(4), weight))] * 2)
    assert first.dtype == second.dtype == torch.bfloat16
    (first + second).float().sum().backward()
    assert weight.grad.dtype == torch.float32
    torch.testing.assert_close(weight.grad, torch.full((4, 4), 2.0))


def test_a_second_backward_pass_is_possible():
    """Adversarial training asks for the gradient of the word vectors first."""
    vectors = torch.randn(3, 2, requires_grad=True)
    with two_threads():
        outputs = both_layers(Layer(torch.tanh, (vectors,)), Layer(torch.exp, (vectors,)))
        loss = sum(output.sum() for output in outputs)
        (first,) = torch.autograd.grad(loss, vectors, retain_graph=True)
        loss.backward()
    torch.testing.assert_close(first, vectors.grad)
    torch.testing.assert_close(first, 1 - vectors.detach().tanh() ** 2 + vectors.detach().exp())


def test_halves_run_at_once_inside_the_block_only():
    meeting = threading.Barrier(2, timeout=0.5)
    with two_threads():
        both(meeting.wait, meeting.wait)
    with pytest.raises(threading.BrokenBarrierError):
        both(meeting.wait, meeting.wait)


def test_both_halves_share_the_threads_of_torch():
    torch.set_num_threads(4)
    with two_threads():
        assert both(torch.get_num_threads, torch.get_num_threads) == (2, 2)
        with two_threads():
            assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 4
    torch.set_num_threads(1)
    with two_threads():
        assert both(threading.get_ident, threading.get_ident) == (threading.get_ident(),) * 2


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_in_one_half_is_raised_when_both_have_ended(failing):
    ended = []

    def fail() -> None:
        raise RuntimeError("out of memory")

    def end() -> None:
        ended.append(1)

    with two_threads(), pytest.raises(RuntimeError, match="out of memory"):
        both(*((fail, end) if failing == 0 else (end, fail)))
    assert ended == [1]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, True),
        ({"num_layers": 2}, True),
        ({"bidirectional": False}, False),
        ({"encoder": Encoder.cnn_lstm}, False),
        ({"char_cnn_size": 4}, False),
    ],
)
def test_which_networks_train_in_two_threads(settings, expected):
    assert _network(**settings).can_run_in_parallel is expected
