"""The tokens that the recurrent branch reads of some texts, and its logits for parts of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from textlstm.inference.classifier import TextClassifier
from textlstm.inference.numpy_backend import NumpyNetworks
from textlstm.inference.numpy_lstm import supports
from textlstm.models.calibration.temperature import mean_logits
from textlstm.models.network.batch import Batch, DeviceSplit
from textlstm.models.network.batch_plan import plan_sorted
from textlstm.models.network.inputs import EncodedSplit, encode_split, encode_texts
from textlstm.models.network.network import TextNetwork, predict_logits
from textlstm.text.tokenized import TokenizedTexts

_BATCH_CELLS = 4_096
_MOST_ROWS = 64
_MANY_VARIANTS = 2_000
"""From this many variants on, `NumpyNetworks` with tables of the whole vocabulary are faster than torch."""


class Rows(NamedTuple):
    """One batch of texts and where they stand among all."""

    rows: np.ndarray
    """(B,) int64 numbers of the texts."""
    batch: Batch


@dataclass(frozen=True, slots=True)
class Variants:
    """K texts made of tokens of the texts at hand: variant k is `tokens[offsets[k]:offsets[k + 1]]`."""

    tokens: np.ndarray
    """(M,) int64 positions among all tokens that the network reads."""
    offsets: np.ndarray
    """(K + 1,) int64."""


class TextReader:
    """N prepared texts as the network reads them: after the cap on their length."""

    def __init__(self, classifier: TextClassifier, prepared: TokenizedTexts) -> None:
        """Encode `prepared` for the networks of `classifier`."""
        self.classifier = classifier
        saved_model = classifier.saved_model
        targets = np.zeros(len(prepared), dtype=np.int64)
        self.split: EncodedSplit = encode_texts(
            prepared, vocabulary=saved_model.vocabulary, model=saved_model.model, targets=targets
        )
        # Long texts are cut in the middle; the same cut of token numbers tells which tokens are read.
        places = np.arange(len(prepared.tokens), dtype=np.int32)
        read = encode_split(places, prepared.offsets, None, targets, max_tokens=saved_model.model.max_tokens).token_ids
        self.tokens: list[str] = [prepared.tokens[place] for place in read]
        """The tokens that are read, text after text."""
        self.pos: np.ndarray | None = None if prepared.pos is None else prepared.pos[read]
        """(M,) uint8 tags of those tokens, or None."""

    @property
    def network(self) -> TextNetwork:
        """The network that is looked into: the first, where a model has several."""
        return self.classifier.networks[0]

    def text_tokens(self, row: int) -> list[str]:
        """Return the tokens that are read of one text."""
        return self.tokens[self.split.offsets[row] : self.split.offsets[row + 1]]

    def batches(self, *, batch_cells: int = _BATCH_CELLS) -> Iterator[Rows]:
        """Yield all texts in batches of similar length."""
        plan = plan_sorted(self.split.lengths, batch_cells=batch_cells, most_rows=_MOST_ROWS)
        on_device = DeviceSplit(self.split, self.classifier.device)
        for k in range(plan.num_batches):
            rows = plan.rows[plan.starts[k] : plan.starts[k + 1]]
            chosen = torch.from_numpy(rows).to(self.classifier.device)
            yield Rows(rows, on_device.batch(chosen, width=int(plan.widths[k])))

    def logits(self, variants: Variants) -> np.ndarray:
        """Return (K, L) float32 logits of the recurrent branch (all networks) for each variant."""
        split = self.split
        num_variants = len(variants.offsets) - 1
        if num_variants == 0:
            return np.zeros((0, len(self.classifier.labels)), dtype=np.float32)
        # The variants share the ids, tags and spellings of the texts at hand: nothing is tokenized again.
        cut = EncodedSplit(
            token_ids=split.token_ids[variants.tokens],
            offsets=variants.offsets,
            pos_ids=None if split.pos_ids is None else split.pos_ids[variants.tokens],
            targets=np.zeros(num_variants, dtype=np.int64),
            spellings=split.spellings,
        )
        saved_model, device = self.classifier.saved_model, self.classifier.device
        # The tables of the whole vocabulary cost time once, which only many variants earn back.
        if num_variants >= _MANY_VARIANTS and device.type == "cpu" and supports(saved_model.model):
            found = self._numpy_networks.logits(cut)
        else:
            found = [predict_logits(network, cut, device=device) for network in self.classifier.networks]
        return mean_logits(found, saved_model.task)

    @cached_property
    def _numpy_networks(self) -> NumpyNetworks:
        networks = NumpyNetworks(self.classifier.saved_model, num_threads=None)
        networks.prepare_for_many()
        return networks


def make_variants(reader: TextReader, pieces: Callable[[int], list[np.ndarray]]) -> Variants:
    """Return the variants of all texts: `pieces` gives those of a text of T tokens as arrays of numbers below T."""
    tokens, lengths = [np.zeros(0, dtype=np.int64)], [0]
    for start, length in zip(reader.split.offsets[:-1].tolist(), reader.split.lengths.tolist(), strict=True):
        for piece in pieces(length):
            tokens.append(piece + start)
            lengths.append(len(piece))
    return Variants(np.concatenate(tokens), np.cumsum(lengths))
