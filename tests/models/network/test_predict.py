import importlib
import sys
from pathlib import Path

import numpy as np
import torch

from textlstm.models.network.inputs import encode_split
from textlstm.models.network.network import predict_logits

sys.path.insert(0, str(Path(__file__).parents[2] / "training"))
toy = importlib.import_module("toy")


def _alone(row: int) -> np.ndarray:
    split = toy.split(300, seed=2)
    tokens = split.token_ids[split.offsets[row] : split.offsets[row + 1]]
    return encode_split(tokens, np.array([0, len(tokens)]), None, split.targets[row : row + 1], max_tokens=400)


def test_rows_come_in_order_whatever_their_batch() -> None:
    network, split = toy.network(), toy.split(300, seed=2)
    logits = predict_logits(network, split)
    assert (logits.shape, logits.dtype) == ((300, 3), np.float32)
    np.testing.assert_allclose(predict_logits(network, split, batch_tokens=30), logits, rtol=0, atol=1e-6)
    for row in (0, 1, 2, 150, 299):  # row 0 has no token
        np.testing.assert_allclose(predict_logits(network, _alone(row))[0], logits[row], rtol=0, atol=1e-6)
    assert np.abs(logits[1] - logits[2]).max() > 1e-3  # negative control: rows differ by more than the tolerance


def test_prediction_leaves_the_mode_and_takes_no_dropout() -> None:
    network, split = toy.network(), toy.split(50, seed=2)
    network.train()
    first = predict_logits(network, split)
    assert network.training
    np.testing.assert_array_equal(first, predict_logits(network.eval(), split))
    assert not network.training


def test_no_rows_give_no_logits() -> None:
    empty = encode_split(np.zeros(0, np.int32), np.array([0]), None, np.zeros(0, np.int64), max_tokens=4)
    assert len(predict_logits(toy.network(), empty)) == 0
    assert torch.is_grad_enabled()
