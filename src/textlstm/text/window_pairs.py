"""Window layers of the tagger in numpy, two neighbouring rows at a time.

A window layer is a convolution of width 3 along the rows. Computed for two rows at once it takes four products instead
of six: F(2, 3) of Winograd (1980), used for networks by Lavin and Gray (2016), "Fast algorithms for convolutional
neural networks". Of four neighbouring rows a, b, c, d and the weights p (previous), t (this), n (next):

    first  = p a + t b + n c = m1 + m2 + m3        m1 = p (a - c)              m2 = (p + t + n) / 2 (b + c)
    second = p b + t c + n d = m2 - m3 - m4        m3 = (p - t + n) / 2 (c - b)    m4 = n (b - d)

Legend: W width of a row's vector, P pieces of a maxout, C columns (pairs of rows).
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from textlstm.text.tag_guesses import NORM_EPSILON
from textlstm.text.tagger_weights import MaxoutLayer

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
    """A residual `MaxoutLayer` over (previous, this, next) row; its shift of the normalisation is left out."""

    def __init__(self, layer: MaxoutLayer, *, input_shift: NDArray[np.float64], num_columns: int) -> None:
        """Prepare the weights.

        Args:
            layer: The weights.
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
        a, b, c, d = rows.even[:-1], rows.odd[:-1], rows.even[1:], rows.odd[1:]
        flat = [array.reshape(-1)[:size] for array in self._inputs]
        np.subtract(a, c, out=flat[0])
        np.add(b, c, out=flat[1])
        np.subtract(c, b, out=flat[2])
        np.subtract(b, d, out=flat[3])
        m1, m2, m3, m4 = self._products
        for weight, array, product in zip(self._weights, self._inputs, self._products, strict=True):
            np.matmul(weight, array, out=product)
        m1 += m2
        m1 += m3
        m2 -= m3
        m2 -= m4
        np.add(self._normalised(m1), b, out=self._result.even[:-1])
        np.add(self._normalised(m2), c, out=self._result.odd[:-1])
        return self._result

    def _normalised(self, linear: Floats) -> Floats:
        """Return (W * C,) the largest piece of `linear` (P * W, C), normalised and scaled; `linear` is used up."""
        width = self._width
        best = linear[:width]
        for piece in range(1, self._num_pieces):
            np.maximum(best, linear[piece * width : (piece + 1) * width], out=best)
        best -= self._mean_weights @ best
        squares = np.multiply(best, best, out=self._inputs[0])
        best /= np.sqrt(self._mean_weights @ squares + np.float32(NORM_EPSILON))
        flat = best.reshape(-1)
        flat *= self._scale
        return flat
