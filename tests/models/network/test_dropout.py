"""Dropout: the share that is dropped, the scale of the rest, and silence outside training."""

import pytest
import torch

from textlstm.models.network.dropout import Dropout, dropout


@pytest.mark.parametrize("probability", [0.1, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_values_are_dropped_or_scaled_up(probability, dtype):
    torch.manual_seed(0)
    found = dropout(torch.ones(200, 500, dtype=dtype), probability)
    kept = torch.tensor(1.0, dtype=dtype) / (1 - probability)
    assert found.dtype == dtype
    assert set(found.unique().tolist()) == {0.0, kept.item()}
    assert (found == 0).double().mean().item() == pytest.approx(probability, abs=0.005)  # five standard deviations


def test_masks_follow_the_seed():
    values = torch.ones(50)
    masks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        masks.append(dropout(values, 0.5))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_nothing_is_dropped_outside_training():
    values = torch.randn(4, 6)
    layer = Dropout(0.5)
    assert not torch.equal(layer.train()(values), values)
    assert layer.eval()(values) is values
    assert Dropout(0.0).train()(values) is values
