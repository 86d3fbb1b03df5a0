"""Pooling: written-out values, no influence of padding, gradients."""

import pytest
import torch

from textlstm.config import Pooling
from textlstm.models.network.encoders import Encoded
from textlstm.models.network.pooling import Pool, TokenMask, masked_max_mean

AHEAD = torch.tensor([[[1.0, -4.0], [3.0, -2.0], [99.0, 99.0]], [[99.0, 99.0], [99.0, 99.0], [99.0, 99.0]]])


def _encoded(states: torch.Tensor, lengths: list[int]) -> Encoded:
    return Encoded(states.transpose(0, 1).contiguous(), None, torch.tensor(lengths))


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        (Pooling.last, [[3.0, -2.0], [0.0, 0.0]]),
        (Pooling.mean, [[2.0, -3.0], [0.0, 0.0]]),
        (Pooling.max, [[3.0, -2.0], [0.0, 0.0]]),
        (Pooling.max_mean, [[3.0, -2.0, 2.0, -3.0], [0.0, 0.0, 0.0, 0.0]]),
    ],
)
def test_pooled_values_leave_padding_out(pooling, expected):
    assert Pool(pooling, 2)(_encoded(AHEAD, [2, 0])).tolist() == expected


def test_attention_weighs_tokens_only():
    torch.manual_seed(0)
    pool = Pool(Pooling.attention, 2)
    weights = pool.attention(AHEAD, torch.tensor([2, 0]))[:, :, 0]
    assert weights[0, 2] == 0
    assert weights[0].sum().item() == pytest.approx(1.0)
    assert weights[1].tolist() == [0.0, 0.0, 0.0]
    expected = weights[0, 0] * AHEAD[0, 0] + weights[0, 1] * AHEAD[0, 1]
    pooled = pool(_encoded(AHEAD, [2, 0]))
    assert torch.allclose(pooled[0], expected)
    assert pooled[1].tolist() == [0.0, 0.0]


def test_other_poolings_have_no_attention_weights():
    with pytest.raises(TypeError, match=r"^pooling mean has no attention weights$"):
        Pool(Pooling.mean, 2).attention(AHEAD, torch.tensor([2, 0]))


def test_both_directions_pool_to_the_same_as_their_states_side_by_side():
    ahead, behind = torch.randn(5, 3, 4), torch.randn(5, 3, 4)
    encoded = Encoded(ahead, behind, torch.tensor([5, 2, 0]))
    joined = Encoded(encoded.by_step(), None, encoded.lengths)
    for pooling in (Pooling.max, Pooling.mean, Pooling.max_mean):
        assert torch.allclose(Pool(pooling, 8)(encoded), Pool(pooling, 8)(joined), atol=1e-6)


def test_max_and_mean_have_the_gradient_of_finite_differences():
    torch.manual_seed(0)
    states = torch.randn(4, 3, 2, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([4, 0, 2])
    mask = TokenMask.of(lengths, states)
    assert torch.autograd.gradcheck(lambda inputs: masked_max_mean(inputs, mask), (states,))


def test_tied_maxima_share_the_gradient():
    states = torch.tensor([[[1.0]], [[1.0]], [[0.0]]], requires_grad=True)
    masked_max_mean(states, TokenMask.of(torch.tensor([3]), states))[0].sum().backward()
    assert states.grad[:, 0, 0].tolist() == [0.5, 0.5, 0.0]
