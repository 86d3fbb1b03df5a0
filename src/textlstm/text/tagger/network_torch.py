"""spaCy's tok2vec and tagger as large matrix products over many texts at once.

Legend: F word forms, R rows (tokens and gaps between texts), W width of a token's vector, P pieces of a maxout, L tags.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from textlstm.config import Precision
from textlstm.text.tagger.weights import MaxoutLayer, TaggerWeights
from textlstm.text.tagger.word_features import NEAR_TIE, NORM_EPSILON, PredictedTags, used_forms

_CPU_ROWS = 1024
"""Rows that go through all layers together, so that they stay in a core's cache."""
_CUDA_ROWS = 131_072


class _Maxout:
    """A `MaxoutLayer` on a device."""

    def __init__(self, layer: MaxoutLayer, *, device: torch.device, dtype: torch.dtype) -> None:
        self.weight = torch.from_numpy(layer.weight).to(device, dtype).t().contiguous()  # (inputs, P * W)
        self.bias = torch.from_numpy(layer.bias).to(device, dtype)
        self.scale = torch.from_numpy(layer.scale).to(device, dtype)
        self.shift = torch.from_numpy(layer.shift).to(device, dtype)
        self.num_pieces = layer.num_pieces
        self.width = len(layer.scale)

    def finish(self, linear: Tensor) -> Tensor:
        """Return (R, W): the largest piece of `linear` (R, P * W), normalized."""
        pieces = torch.split(linear, self.width, dim=1)
        best = torch.maximum(pieces[0], pieces[1]) if self.num_pieces > 1 else pieces[0]
        for piece in pieces[2:]:
            torch.maximum(best, piece, out=best)
        return functional.layer_norm(best, (self.width,), self.scale, self.shift, NORM_EPSILON)


class TaggerNetwork:
    """Scores the tags of word forms in their order; computes spaCy's network up to rounding."""

    def __init__(self, weights: TaggerWeights, *, device: str, precision: Precision) -> None:
        self.device = torch.device(device)
        self.dtype = torch.bfloat16 if precision is Precision.bf16 else torch.float32
        self.width = weights.width
        self.receptive_field = len(weights.windows)
        """Rows to each side that a row's tag depends on; the gap between texts has this number of zero rows."""
        self._embed = _Maxout(weights.embed, device=self.device, dtype=torch.float32)
        self._windows = [_Maxout(layer, device=self.device, dtype=self.dtype) for layer in weights.windows]
        self._output_weight = torch.from_numpy(weights.output_weight).to(self.device, self.dtype).t().contiguous()
        self._output_bias = torch.from_numpy(weights.output_bias).to(self.device, self.dtype)
        self._block_rows = _CUDA_ROWS if self.device.type == "cuda" else _CPU_ROWS

    def no_vectors(self, num_forms: int) -> Tensor:
        """Return (num_forms, W) zeros, the vectors of gaps."""
        return torch.zeros(num_forms, self.width, dtype=self.dtype, device=self.device)

    @torch.inference_mode()
    def embed(self, inputs: NDArray[np.float32]) -> Tensor:
        """Return the (F, W) vectors of word forms from their concatenated embeddings (F, inputs), on the device."""
        layer = self._embed
        linear = torch.addmm(layer.bias, torch.from_numpy(inputs).to(self.device), layer.weight)
        return layer.finish(linear).to(self.dtype)

    @torch.inference_mode()
    def guess(self, form_vectors: Tensor, form_ids: NDArray[np.int32]) -> PredictedTags:
        """Return the best tag of each row.

        Args:
            form_vectors: (F, W) on the device; form 0 is the gap and all zero.
            form_ids: (R,) int32; texts with at least `receptive_field` zeros before, between and after them.
        """
        first = self._windows[0]
        used, positions = used_forms(form_ids, len(form_vectors))
        # The first window layer is linear in each of its three words: compute each word's three shares once.
        vectors = form_vectors.index_select(0, torch.from_numpy(used).to(self.device))
        by_place = first.weight.view(3, self.width, -1)  # place, input, P * W
        shares = torch.stack([vectors @ by_place[0], vectors @ by_place[1] + first.bias, vectors @ by_place[2]], dim=1)
        shares = shares.flatten(0, 1)  # (3 * used forms, P * W)
        # A row of the first layer is then the sum of three look-ups, without a product for each row.
        row_forms = torch.from_numpy(positions).to(self.device)
        parts = [
            self._guess_block(vectors, shares, row_forms, start) for start in range(0, len(form_ids), self._block_rows)
        ]
        tags = torch.cat([part[0] for part in parts]).cpu().numpy()
        ties = torch.cat([part[1] for part in parts]).cpu().numpy()
        return PredictedTags(tags, ties)

    def _guess_block(self, vectors: Tensor, shares: Tensor, row_forms: Tensor, start: int) -> tuple[Tensor, Tensor]:
        """Return tags (rows,) and near ties (rows,) of the rows from `start`; the rows around them only help."""
        field = self.receptive_field
        end = min(start + self._block_rows, len(row_forms))
        # Rows start - field .. end + field; outside the array there are only gaps, form 0, which stands first.
        forms = functional.pad(
            row_forms[max(0, start - field) : end + field],
            (max(0, field - start), max(0, end + field - len(row_forms))),
        )
        # (rows + 2 * field - 2, 3) places in `shares`: previous, this and next row. Each layer loses a row at both
        # ends.
        places = torch.stack([forms[:-2] * 3, forms[1:-1] * 3 + 1, forms[2:] * 3 + 2], dim=1)
        linear = functional.embedding_bag(places, shares, mode="sum")
        hidden = self._windows[0].finish(linear).add_(vectors.index_select(0, forms[1:-1]))
        for layer in self._windows[1:]:
            window = torch.cat([hidden[:-2], hidden[1:-1], hidden[2:]], dim=1)  # (rows, 3 W)
            hidden = layer.finish(torch.addmm(layer.bias, window, layer.weight)).add_(hidden[1:-1])
        # The rows asked for are left: (rows, W) become (rows, L).
        scores = torch.addmm(self._output_bias, hidden, self._output_weight)
        best, tags = scores.max(dim=1)
        # The best tag passes this comparison itself, so more than one means a near tie.
        ties = (scores > (best - NEAR_TIE).unsqueeze(1)).sum(dim=1) > 1
        return tags, ties
