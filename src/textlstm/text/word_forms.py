"""The cache of word forms: everything the tagger needs to know of a token that does not depend on its neighbours."""

import re
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textlstm.text.normalize import TokenNormalizer
from textlstm.text.pos_table import PosTable
from textlstm.text.tagger_network import TaggerNetwork
from textlstm.text.tagger_weights import TaggerWeights

if TYPE_CHECKING:
    from spacy.language import Language

GAP = ""
"""The piece that stands between texts; no text has an empty piece."""
find_pieces = re.compile(r"\S+ ?|\s+").findall
r"""Cut a text where spaCy's tokeniser does first: words with the space that follows, and other white space.

Example: `"a  b\n"` gives `["a ", " ", "b", "\n"]`.
"""


class WordForms:
    """Word forms by number, and the forms of each piece of text; number 0 is the gap between texts."""

    def __init__(
        self,
        nlp: "Language",
        weights: TaggerWeights,
        network: TaggerNetwork,
        *,
        pos_table: PosTable,
        normalizer: TokenNormalizer,
        max_forms: int,
    ) -> None:
        self._nlp = nlp
        self._weights = weights
        self._network = network
        self._pos_table = pos_table
        self._normalizer = normalizer
        self._max_forms = max_forms
        self._columns = ["ORTH", *weights.columns]
        self._clear()

    def _clear(self) -> None:
        gap = (0,) * self._network.receptive_field
        self._pieces: dict[str, tuple[int, ...]] = {GAP: gap}
        self._numbers: dict[tuple[int, ...], int] = {}
        self.tokens: list[str] = [""]
        """The model's token of each form; empty for the gap, white space and removed words."""
        self.is_token = np.zeros(1, np.bool_)
        """(F,) whether the form is a word: neither gap nor white space."""
        self.word_class = np.zeros(1, np.int64)
        """(F,) row of the tables of `PosTable`."""
        self.vectors = torch.zeros(1, self._network.width, dtype=self._network.dtype, device=self._network.device)
        """(F, W) what the tagger's embedding makes of each form; the gap is zero."""

    def form_ids(self, pieces: Sequence[str]) -> NDArray[np.int32]:
        """Return the (R,) int32 forms of all `pieces`, one after another; new pieces are learnt first."""
        if len(self.tokens) > self._max_forms:
            self._clear()
        new_pieces = set(pieces).difference(self._pieces)
        if new_pieces:
            self._learn(new_pieces)
        return np.fromiter(chain.from_iterable(map(self._pieces.__getitem__, pieces)), np.int32)

    def _learn(self, new_pieces: Iterable[str]) -> None:
        tokenizer, numbers = self._nlp.tokenizer, self._numbers
        new_forms: list[tuple[int, ...]] = []
        new_words: list[str] = []
        for piece in new_pieces:
            doc = tokenizer(piece)
            rows = doc.to_array(self._columns).tolist()
            forms = []
            for place, row in enumerate(rows):
                key = tuple(row)
                number = numbers.get(key)
                if number is None:
                    number = numbers[key] = len(self.tokens) + len(new_words)
                    new_forms.append(key)
                    new_words.append(doc[place].text)
                forms.append(number)
            self._pieces[piece] = tuple(forms)
        if new_words:
            self._add(new_words, np.array(new_forms, np.uint64))

    def _add(self, words: list[str], attributes: NDArray[np.uint64]) -> None:
        """Append forms; `attributes` (new, 1 + columns) starts with ORTH."""
        normalizer = self._normalizer
        is_token = np.array([not word.isspace() for word in words], np.bool_)
        classes = [
            self._pos_table.word_class(word, is_space=not token)
            for word, token in zip(words, is_token.tolist(), strict=True)
        ]
        self.tokens += [
            "" if not token or normalizer.is_removed(word) else normalizer.normalize(word)
            for word, token in zip(words, is_token.tolist(), strict=True)
        ]
        self.is_token = np.concatenate([self.is_token, is_token])
        self.word_class = np.concatenate([self.word_class, np.array(classes, np.int64)])
        self.vectors: Tensor = torch.cat([self.vectors, self._network.embed(self._embeddings(attributes))])

    def _embeddings(self, attributes: NDArray[np.uint64]) -> NDArray[np.float32]:
        """Return the (new, tables * W) concatenated hash embeddings, as thinc's HashEmbed computes them."""
        from thinc.api import NumpyOps

        ops, parts = NumpyOps(), []
        for table in self._weights.tables:
            values, inverse = np.unique(attributes[:, 1 + table.column], return_inverse=True)
            rows = ops.hash(values, table.seed) % table.rows.shape[0]  # (values, 4)
            parts.append(table.rows[rows].sum(axis=1)[inverse])
        static = self._weights.static
        if static is not None:
            rows = static.vectors.find(keys=attributes[:, 0])
            vectors = np.asarray(static.vectors.data)[rows] @ static.projection.T
            vectors[rows < 0] = 0
            parts.append(vectors)
        return np.concatenate(parts, axis=1, dtype=np.float32)
