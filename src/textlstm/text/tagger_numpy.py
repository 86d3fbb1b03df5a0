"""The tagger of `tagger_network.py` in numpy, for processes that leave torch alone: fp32, on the CPU.

Legend: F word forms, R rows (tokens and gaps between texts), W width of a token's vector, P pieces of a maxout, L tags.
"""

import numpy as np
from numpy.typing import NDArray

from textlstm.text.tag_guesses import NEAR_TIE, NORM_EPSILON, TagGuesses, used_forms
from textlstm.text.tagger_weights import MaxoutLayer, TaggerWeights

_BLOCK_ROWS = 1024
"""Rows that go through all layers together, so that they stay in a core's cache."""

Floats = NDArray[np.float32]


class _Maxout:
    """A `MaxoutLayer`, its weights turned for products from the left."""

    def __init__(self, layer: MaxoutLayer) -> None:
        self.weight = np.ascontiguousarray(layer.weight.T)  # (inputs, P * W)
        self.layer = layer

    def __call__(self, inputs: Floats) -> Floats:
        """Return (R, W) of (R, inputs)."""
        return self.finish(inputs @ self.weight + self.layer.bias)

    def finish(self, linear: Floats) -> Floats:
        """Return (R, W): the largest piece of `linear` (R, P * W), normalised."""
        layer = self.layer
        best: Floats = linear.reshape(len(linear), layer.num_pieces, -1).max(axis=1)
        best -= best.mean(axis=1, keepdims=True)
        variance = np.einsum("rw,rw->r", best, best)[:, None] / best.shape[1]
        best /= np.sqrt(variance + np.float32(NORM_EPSILON))
        best *= layer.scale
        best += layer.shift
        return best


class NumpyTaggerNetwork:
    """Scores the tags of word forms in their order; computes exactly spaCy's network but for rounding."""

    def __init__(self, weights: TaggerWeights) -> None:
        self.width = weights.width
        self.receptive_field = len(weights.windows)
        self._embed = _Maxout(weights.embed)
        self._windows = [_Maxout(layer) for layer in weights.windows]
        self._output_weight = np.ascontiguousarray(weights.output_weight.T)
        self._output_bias = weights.output_bias

    def no_vectors(self, num_forms: int) -> Floats:
        """Return (num_forms, W) zeros, the vectors of gaps."""
        return np.zeros((num_forms, self.width), np.float32)

    def embed(self, inputs: Floats) -> Floats:
        """Return the (F, W) vectors of word forms from their concatenated embeddings (F, inputs)."""
        return self._embed(inputs)

    def guess(self, form_vectors: Floats, form_ids: NDArray[np.int32]) -> TagGuesses:
        """Return the best tag of each row; for the arguments see `TagNetwork`."""
        used, positions = used_forms(form_ids, len(form_vectors))
        vectors, first, field = form_vectors[used], self._windows[0], self.receptive_field
        # The first window layer is linear in each of its three words: compute each word's three shares once.
        before, this, after = (vectors @ part for part in first.weight.reshape(3, self.width, -1))
        this += first.layer.bias
        forms = np.pad(positions, field)  # outside the array there are only gaps, form 0, which stands first
        tags, near_ties = np.zeros(len(form_ids), np.int64), np.zeros(len(form_ids), np.bool_)
        for start in range(0, len(form_ids), _BLOCK_ROWS):
            end = min(start + _BLOCK_ROWS, len(form_ids))
            block = forms[start : end + 2 * field]
            linear = before[block[:-2]] + this[block[1:-1]] + after[block[2:]]
            hidden = first.finish(linear) + vectors[block[1:-1]]
            for layer in self._windows[1:]:
                window = np.concatenate([hidden[:-2], hidden[1:-1], hidden[2:]], axis=1)  # (rows, 3 W)
                hidden = layer(window) + hidden[1:-1]
            scores = hidden @ self._output_weight + self._output_bias
            tags[start:end] = scores.argmax(axis=1)
            best = scores.max(axis=1, keepdims=True)
            near_ties[start:end] = (scores > best - np.float32(NEAR_TIE)).sum(axis=1) > 1
        return TagGuesses(tags, near_ties)
