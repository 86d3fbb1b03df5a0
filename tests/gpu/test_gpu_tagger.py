"""The fast tagger's network on a GPU gives the tags of the CPU."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from textlstm.config import Precision
from textlstm.text.tagger.network_torch import TaggerNetwork
from textlstm.text.tagger.weights import MaxoutLayer, TaggerWeights

sys.path.insert(0, str(Path(__file__).parent))
gpu = importlib.import_module("gpu_cases")
WIDTH, PIECES, INPUTS, NUM_TAGS = 8, 3, 12, 5


def _layer(random: np.random.Generator, num_inputs: int) -> MaxoutLayer:
    def numbers(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    return MaxoutLayer(
        weight=numbers(PIECES * WIDTH, num_inputs),
        bias=numbers(PIECES * WIDTH),
        scale=numbers(WIDTH),
        shift=numbers(WIDTH),
        num_pieces=PIECES,
    )


def _tags(device: str, precision: Precision) -> np.ndarray:
    random = np.random.default_rng(4)
    weights = TaggerWeights(
        columns=(),
        tables=(),
        static=None,
        embed=_layer(random, INPUTS),
        windows=tuple(_layer(random, 3 * WIDTH) for _ in range(4)),
        output_weight=random.normal(size=(NUM_TAGS, WIDTH)).astype(np.float32),
        output_bias=random.normal(size=NUM_TAGS).astype(np.float32),
        labels=tuple("ABCDE"),
    )
    network = TaggerNetwork(weights, device=device, precision=precision)
    vectors = network.embed(random.normal(size=(30, INPUTS)).astype(np.float32))
    vectors = torch.cat([network.no_vectors(1), vectors])
    form_ids = random.integers(1, 30, 200).astype(np.int32)
    for gap in (slice(0, 4), slice(90, 94), slice(196, 200)):
        form_ids[gap] = 0
    guessed = network.guess(vectors, form_ids)
    assert len(guessed.tags) == len(guessed.ties) == 200
    return guessed.tags


@pytest.mark.parametrize("precision", [Precision.fp32, Precision.bf16])
def test_tags_do_not_depend_on_the_device(precision: Precision) -> None:
    expected = _tags("cpu", precision)
    with gpu.a_gpu():
        found = _tags("cuda", precision)
    assert len(set(expected.tolist())) > 2
    if precision is Precision.fp32:
        np.testing.assert_array_equal(found, expected)
    else:
        assert (found == expected).mean() > 0.9
