"""The tagger of `tagger_network.py` in numpy, for processes that leave torch alone: fp32, on the CPU.

Legend: F word forms, R rows (tokens and gaps between texts), W width of a token's vector, P pieces of a maxout, L tags,
C columns of a block (two rows each).
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import cast

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from textlstm.text.tag_guesses import NEAR_TIE, NORM_EPSILON, TagGuesses
from textlstm.text.tagger_weights import MaxoutLayer, TaggerWeights
from textlstm.text.window_pairs import Floats, Pairs, WindowLayer

_BLOCK_COLUMNS = 256
"""Pairs of rows that go through all layers together, so that they stay in a core's cache."""


class NumpyTaggerNetwork:
    """Scores the tags of word forms in their order; computes exactly spaCy's network but for rounding."""

    def __init__(self, weights: TaggerWeights) -> None:
        self.width = weights.width
        self.receptive_field = len(weights.windows)
        self._embed = weights.embed
        self._windows: list[WindowLayer] = []
        shift: NDArray[np.float64] = np.zeros(self.width)
        for layer in weights.windows:
            # What earlier layers would add to every row alike goes into the bias, so that nobody adds it to the rows.
            self._windows.append(WindowLayer(layer, input_shift=shift, num_columns=_BLOCK_COLUMNS))
            shift = shift + layer.shift
        self._output_weight = np.ascontiguousarray(weights.output_weight.T)  # (W, L)
        self._threads = ThreadpoolController()
        self._output_bias = (weights.output_bias + weights.output_weight @ shift).astype(np.float32)

    def no_vectors(self, num_forms: int) -> Floats:
        """Return (num_forms, W) zeros, the vectors of gaps."""
        return np.zeros((num_forms, self.width), np.float32)

    def embed(self, inputs: Floats) -> Floats:
        """Return the (F, W) vectors of word forms from their concatenated embeddings (F, inputs)."""
        with self._one_thread():
            return _maxout(self._embed, inputs)

    def guess(self, form_vectors: Floats, form_ids: NDArray[np.int32]) -> TagGuesses:
        """Return the best tag of each row; for the arguments see `TagNetwork`."""
        with self._one_thread():
            return self._guess(form_vectors, form_ids)

    def _one_thread(self) -> AbstractContextManager[object]:
        """Keep products in this thread: on a busy machine, threads that wait for each other take many times longer."""
        return cast(AbstractContextManager[object], self._threads.limit(limits=1, user_api="blas"))

    def _guess(self, form_vectors: Floats, form_ids: NDArray[np.int32]) -> TagGuesses:
        num_rows, field = len(form_ids), self.receptive_field
        tags, near_ties = np.zeros(num_rows, np.int64), np.zeros(num_rows, np.bool_)
        step = 2 * (_BLOCK_COLUMNS - field)
        # Outside the array there are only gaps, form 0; the last block is filled up with them.
        forms = np.pad(form_ids, (field, field + step))
        pairs = Pairs.empty(self.width, _BLOCK_COLUMNS)
        for start in range(0, num_rows, step):
            pairs.fill(form_vectors, forms[start : start + 2 * _BLOCK_COLUMNS])
            for first, rows in enumerate(self._hidden(pairs)):
                place = slice(start + first, min(start + step, num_rows), 2)
                scores = rows @ self._output_weight
                scores += self._output_bias
                best = scores.max(axis=1, keepdims=True)
                count = len(tags[place])
                tags[place] = scores.argmax(axis=1)[:count]
                near_ties[place] = np.count_nonzero(scores > best - np.float32(NEAR_TIE), axis=1)[:count] > 1
        return TagGuesses(tags, near_ties)

    def _hidden(self, pairs: Pairs) -> Iterator[Floats]:
        """Yield (C - layers, W) what the last layer makes of the even, then of the odd rows of a block."""
        for layer in self._windows:
            pairs = layer(pairs)
        columns = pairs.num_columns - self.receptive_field
        yield pairs.even_rows[:, :columns].T
        yield pairs.odd_rows[:, :columns].T


def _maxout(layer: MaxoutLayer, inputs: Floats) -> Floats:
    """Return (R, W) of (R, inputs): the largest piece of a linear layer, normalised."""
    linear = inputs @ layer.weight.T + layer.bias
    best: Floats = linear.reshape(len(linear), layer.num_pieces, -1).max(axis=1)
    best -= best.mean(axis=1, keepdims=True)
    variance = np.einsum("rw,rw->r", best, best)[:, None] / best.shape[1]
    best /= np.sqrt(variance + np.float32(NORM_EPSILON))
    best *= layer.scale
    best += layer.shift
    return best
