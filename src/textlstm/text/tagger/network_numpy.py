"""Window layers of the tagger in numpy, two neighboring rows at a time.

A window layer is a convolution of width 3 along the rows. Computed for two rows at once it takes four products instead
of six: F(2, 3) of Winograd (1980), used for networks by Lavin and Gray (2016), "Fast algorithms for convolutional
neural networks". Of four neighboring rows a, b, c, d and the weights p (previous), t (this), n (next):

    first  = p a + t b + n c = m1 + m2 + m3        m1 = p (a - c)              m2 = (p + t + n) / 2 (b + c)
    second = p b + t c + n d = m2 - m3 - m4        m3 = (p - t + n) / 2 (c - b)    m4 = n (b - d)

Legend: W width of a row's vector, P pieces of a maxout, C columns (pairs of rows).
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from textlstm.text.tagger.weights import MaxoutLayer, TaggerWeights
from textlstm.text.tagger.word_features import NEAR_TIE, NORM_EPSILON, PredictedTags

Floats = NDArray[np.float32]


class Pairs(NamedTuple):
    """2 C rows of a block: units down, rows across, even and odd rows apart.

    Both arrays are flat, (W * C + 1,), so that the array from place 1 on holds, for each unit, the columns from 1 on: a
    window moves without a copy. The last column then holds the next unit's first, which is noise: each layer makes one
    more column at the end useless.
    """

    even: Floats
    odd: Floats
    width: int

    @classmethod
    def empty(cls, width: int, num_columns: int) -> Self:
        """Return room for rows."""
        return cls(np.zeros(width * num_columns + 1, np.float32), np.zeros(width * num_columns + 1, np.float32), width)

    @property
    def num_columns(self) -> int:
        """C."""
        return len(self.even) // self.width

    @property
    def even_rows(self) -> Floats:
        """(W, C) view of rows 0, 2, 4, ..."""
        return self.even[:-1].reshape(self.width, -1)

    @property
    def odd_rows(self) -> Floats:
        """(W, C) view of rows 1, 3, 5, ..."""
        return self.odd[:-1].reshape(self.width, -1)

    def fill(self, form_vectors: Floats, form_ids: NDArray[np.int32]) -> None:
        """Take the vectors, of all forms (F, W), of the 2 C rows `form_ids`."""
        self.even_rows[:] = form_vectors[form_ids[0::2]].T
        self.odd_rows[:] = form_vectors[form_ids[1::2]].T


class WindowLayer:
    """A residual `MaxoutLayer` over (previous, this, next) row; its shift of the normalization is left out."""

    def __init__(self, layer: MaxoutLayer, *, input_shift: NDArray[np.float64], num_columns: int) -> None:
        """Prepare the weights.

        Args:
            layer: the weights.
            input_shift: (W,) what the rows lack: earlier layers' shifts.
            num_columns: C of every block.
        """
        width = len(layer.scale)
        # (P * W, 3, W) as previous, this, next; sums in float64, so that they are rounded once.
        previous, this, following = layer.weight.astype(np.float64).reshape(-1, 3, width).transpose(1, 0, 2)
        bias = layer.bias + (previous + this + following) @ input_shift
        # The bias is the weight of a row of ones under b + c, which counts once in both rows of a pair.
        middle = np.concatenate([(previous + this + following) / 2, bias[:, None]], axis=1)
        matrices = (previous, middle, (previous - this + following) / 2, following)
        self._weights = [np.ascontiguousarray(matrix, np.float32) for matrix in matrices]
        self._scale = np.repeat(layer.scale, num_columns)  # for each unit and column: plain arrays multiply fastest
        self._mean_weights = np.full(width, 1 / width, np.float32)
        self._num_pieces, self._width = layer.num_pieces, width
        self._inputs = [np.ones((width + (place == 1), num_columns), np.float32) for place in range(4)]
        self._products = [np.empty((layer.num_pieces * width, num_columns), np.float32) for _ in range(4)]
        self._result = Pairs.empty(width, num_columns)

    def __call__(self, rows: Pairs) -> Pairs:
        """Return rows 1 to 2 C - 2 of the next layer, in arrays that the next call overwrites; see `Pairs`."""
        size = len(rows.even) - 1
        # Four neighboring rows for each pair of results; c and d are a and b one column further on.
        a, b, c, d = rows.even[:-1], rows.odd[:-1], rows.even[1:], rows.odd[1:]
        # (W, C) rows are overwritten; the last row of `_inputs[1]`, ones for the bias, lies behind them and stays.
        flat = [array.reshape(-1)[:size] for array in self._inputs]
        np.subtract(a, c, out=flat[0])
        np.add(b, c, out=flat[1])
        np.subtract(c, b, out=flat[2])
        np.subtract(b, d, out=flat[3])
        m1, m2, m3, m4 = self._products
        for weight, array, product in zip(self._weights, self._inputs, self._products, strict=True):
            np.matmul(weight, array, out=product)
        # m1 becomes the even rows of the result, m2 the odd ones.
        m1 += m2
        m1 += m3
        m2 -= m3
        m2 -= m4
        # Residual: add the row in the middle of each window.
        np.add(self._normalized(m1), b, out=self._result.even[:-1])
        np.add(self._normalized(m2), c, out=self._result.odd[:-1])
        return self._result

    def _normalized(self, linear: Floats) -> Floats:
        """Return (W * C,) the largest piece of `linear` (P * W, C), normalized and scaled; `linear` is used up."""
        width = self._width
        best = linear[:width]
        for piece in range(1, self._num_pieces):
            np.maximum(best, linear[piece * width : (piece + 1) * width], out=best)
        # Products with 1 / W in place of means: (W,) @ (W, C) gives the mean of each column.
        best -= self._mean_weights @ best
        # `_inputs[0]` has been used and serves as room for the squares.
        squares = np.multiply(best, best, out=self._inputs[0])
        best /= np.sqrt(self._mean_weights @ squares + np.float32(NORM_EPSILON))
        flat = best.reshape(-1)
        flat *= self._scale
        return flat


# The tagger of `network_torch.py` in numpy, for processes that do not load torch: fp32, on the CPU.

_BLOCK_COLUMNS = 256
"""Pairs of rows that go through all layers together, so that they stay in a core's cache."""


class NumpyTaggerNetwork:
    """Scores the tags of word forms in their order; computes spaCy's network up to rounding."""

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

    def guess(self, form_vectors: Floats, form_ids: NDArray[np.int32]) -> PredictedTags:
        """Return the best tag of each row; for the arguments see `TagNetwork`."""
        with self._one_thread():
            return self._guess(form_vectors, form_ids)

    def _one_thread(self) -> AbstractContextManager[object]:
        """Keep products in this thread: on a busy machine, threads that wait for each other take many times longer."""
        return cast(AbstractContextManager[object], self._threads.limit(limits=1, user_api="blas"))

    def _guess(self, form_vectors: Floats, form_ids: NDArray[np.int32]) -> PredictedTags:
        num_rows, field = len(form_ids), self.receptive_field
        tags, ties = np.zeros(num_rows, np.int64), np.zeros(num_rows, np.bool_)
        # Each layer makes one column at the end useless, so blocks overlap by `field` columns.
        step = 2 * (_BLOCK_COLUMNS - field)
        # Outside the array there are only gaps, form 0; the last block is filled up with them.
        forms = np.pad(form_ids, (field, field + step))
        pairs = Pairs.empty(self.width, _BLOCK_COLUMNS)
        for start in range(0, num_rows, step):
            pairs.fill(form_vectors, forms[start : start + 2 * _BLOCK_COLUMNS])
            # Even rows of a block fill every second place from `start` on, odd ones from `start + 1` on.
            for first, rows in enumerate(self._hidden(pairs)):
                place = slice(start + first, min(start + step, num_rows), 2)
                scores = rows @ self._output_weight
                scores += self._output_bias
                best = scores.max(axis=1, keepdims=True)
                # The last block reaches beyond the end of the rows.
                count = len(tags[place])
                tags[place] = scores.argmax(axis=1)[:count]
                ties[place] = np.count_nonzero(scores > best - np.float32(NEAR_TIE), axis=1)[:count] > 1
        return PredictedTags(tags, ties)

    def _hidden(self, pairs: Pairs) -> Iterator[Floats]:
        """Yield the (C - layers, W) outputs of the last layer for the even rows of a block, then for the odd ones."""
        for layer in self._windows:
            pairs = layer(pairs)
        columns = pairs.num_columns - self.receptive_field
        yield pairs.even_rows[:, :columns].T
        yield pairs.odd_rows[:, :columns].T


def _maxout(layer: MaxoutLayer, inputs: Floats) -> Floats:
    """Return (R, W) of (R, inputs): the largest piece of a linear layer, normalized."""
    linear = inputs @ layer.weight.T + layer.bias
    best: Floats = linear.reshape(len(linear), layer.num_pieces, -1).max(axis=1)
    best -= best.mean(axis=1, keepdims=True)
    variance = np.einsum("rw,rw->r", best, best)[:, None] / best.shape[1]
    best /= np.sqrt(variance + np.float32(NORM_EPSILON))
    best *= layer.scale
    best += layer.shift
    return best
