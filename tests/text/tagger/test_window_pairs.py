"""Pairs of rows give what the plain window layer gives."""

import numpy as np
import pytest

from textlstm.text.tagger.network_numpy import Pairs, WindowLayer
from textlstm.text.tagger.weights import MaxoutLayer
from textlstm.text.tagger.word_features import NORM_EPSILON

WIDTH = 8


def layer(num_pieces):
    random = np.random.default_rng(3)
    return MaxoutLayer(
        weight=random.normal(size=(num_pieces * WIDTH, 3 * WIDTH)).astype(np.float32),
        bias=random.normal(size=num_pieces * WIDTH).astype(np.float32),
        num_pieces=num_pieces,
        scale=random.normal(size=WIDTH).astype(np.float32),
        shift=random.normal(size=WIDTH).astype(np.float32),
    )


def plain(weights, rows):
    """Return the (R - 2, W) rows of the next layer, as spaCy writes it down."""
    window = np.concatenate([rows[:-2], rows[1:-1], rows[2:]], axis=1)
    pieces = (window @ weights.weight.T + weights.bias).reshape(len(window), weights.num_pieces, WIDTH)
    best = pieces.max(axis=1)
    best = (best - best.mean(axis=1, keepdims=True)) / np.sqrt(best.var(axis=1, keepdims=True) + NORM_EPSILON)
    return best * weights.scale + weights.shift + rows[1:-1]


@pytest.mark.parametrize("num_pieces", [1, 2, 3])
def test_rows_of_the_next_layer(num_pieces):
    columns = 6
    weights = layer(num_pieces)
    vectors = np.random.default_rng(4).normal(size=(2 * columns, WIDTH)).astype(np.float32)
    pairs = Pairs.empty(WIDTH, columns)
    pairs.fill(vectors, np.arange(2 * columns, dtype=np.int32))
    missing = np.linspace(-1, 1, WIDTH)  # rows that lack as much, as earlier layers leave it out
    found = WindowLayer(weights, input_shift=missing, num_columns=columns)(pairs)
    expected = plain(weights, vectors.astype(np.float64) + missing) - weights.shift - missing
    np.testing.assert_allclose(found.even_rows[:, :-1].T, expected[0::2], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.odd_rows[:, :-1].T, expected[1::2], rtol=1e-4, atol=1e-5)


def test_pairs_hold_even_and_odd_rows():
    pairs = Pairs.empty(2, 2)
    pairs.fill(np.array([[0, 0], [1, 10], [2, 20], [3, 30]], np.float32), np.array([1, 2, 3, 0], np.int32))
    assert pairs.even_rows.tolist() == [[1, 3], [10, 30]]
    assert pairs.odd_rows.tolist() == [[2, 0], [20, 0]]
