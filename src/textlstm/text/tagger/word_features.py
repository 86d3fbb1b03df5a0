"""The cache of word forms: everything the tagger needs to know of a token that does not depend on its neighbors."""

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from textlstm.arrays.ragged import ResizableArray
from textlstm.text.tagger.pos import PosTable
from textlstm.text.tagger.weights import TaggerWeights
from textlstm.text.tokenizer.word_tokenizer import (
    WordTokenizer,
    WordTokens,
    cut_long_runs,
    find_pieces,
    merge_around,
    spaced_rule_finder,
)

if TYPE_CHECKING:
    from spacy.language import Language

# The interface of a tagger's network; `network_torch.py` and `network_numpy.py` are two of them.

NORM_EPSILON = 1e-8
"""What thinc's layer normalization adds to the variance."""
NEAR_TIE = 2e-4
"""fp32 scores of the best two tags closer than this are left to spaCy itself; rounding moves them ten times less."""


class PredictedTags(NamedTuple):
    """Tags of R rows."""

    tags: NDArray[np.int64]
    """(R,) index into the tagger's labels; gaps hold anything."""
    ties: NDArray[np.bool_]
    """(R,) whether another tag scores almost as high."""


class TagNetwork(Protocol):
    """spaCy's tok2vec and tagger, over word forms in their order."""

    receptive_field: int
    """Rows to each side that a row's tag depends on; the gap between texts has this number of zero rows."""

    def no_vectors(self, num_forms: int) -> Any:
        """Return (num_forms, W) zeros, the vectors of gaps."""

    def embed(self, inputs: NDArray[np.float32]) -> Any:
        """Return the (F, W) vectors of word forms from their concatenated embeddings (F, inputs)."""

    def guess(self, form_vectors: Any, form_ids: NDArray[np.int32]) -> PredictedTags:
        """Return the best tag of each row.

        Args:
            form_vectors: (F, W); form 0 is the gap and all zero.
            form_ids: (R,) int32; texts with at least `receptive_field` zeros before, between and after them.
        """


def used_forms(form_ids: NDArray[np.int32], num_forms: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct forms, the gap first, and the place of each row's form among them.

    Example: forms 0, 7, 3, 7 give (0, 3, 7) and (0, 2, 1, 2).
    """
    # With few rows for many forms, sort the rows; else mark the used forms, which needs no sorting.
    if len(form_ids) * 8 < num_forms:
        used, positions = np.unique(form_ids, return_inverse=True)
        return used.astype(np.int64), positions
    is_used = np.zeros(num_forms, np.bool_)
    is_used[form_ids] = True
    return np.flatnonzero(is_used), (np.cumsum(is_used) - 1)[form_ids]


GAP = ""
"""The piece that stands between texts; no text has an empty piece."""


class WordForms:
    """Word forms by number, and the forms of each piece of text; number 0 is the gap between texts."""

    def __init__(
        self,
        nlp: "Language",
        weights: TaggerWeights,
        network: TagNetwork,
        *,
        pos_table: PosTable,
        max_run: int,
        max_forms: int,
    ) -> None:
        self._nlp = nlp
        self._weights = weights
        self._network = network
        self._pos_table = pos_table
        self._max_forms = max_forms
        self._max_run = max_run
        self.columns = ("ORTH", *weights.columns)
        self._word_tokenizer = WordTokenizer(nlp, self.columns)
        self._has_spaced_rule = spaced_rule_finder(nlp)
        self._clear()

    def _clear(self) -> None:
        gap = (0,) * self._network.receptive_field
        self._pieces: dict[str, tuple[int, ...]] = {GAP: gap}
        self._joined: set[str] = set()  # pieces whose tokens may depend on their neighbors
        self._numbers: dict[tuple[int, ...], int] = {}
        self.tokens: list[str] = [""]
        """Each form as it is written; empty for the gap."""
        self._is_word = _growing(np.bool_)
        self._word_class = _growing(np.int64)
        self._attributes = _growing(np.uint64, len(self.columns))
        self._vectors = ResizableArray(self._network.no_vectors(1), self._network.no_vectors)

    @property
    def is_word(self) -> NDArray[np.bool_]:
        """(F,) whether the form is a word: neither gap nor white space."""
        rows: NDArray[np.bool_] = self._is_word.rows
        return rows

    @property
    def word_class(self) -> NDArray[np.int64]:
        """(F,) row of the tables of `PosTable`."""
        rows: NDArray[np.int64] = self._word_class.rows
        return rows

    @property
    def attributes(self) -> NDArray[np.uint64]:
        """(F, columns) spaCy's attributes of each form."""
        rows: NDArray[np.uint64] = self._attributes.rows
        return rows

    @property
    def vectors(self) -> Any:
        """(F, W) output of the tagger's embedding for each form, as the network keeps it; the gap is zero."""
        return self._vectors.rows

    def form_ids(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Return the (R,) int32 forms of all texts, with a gap before, between and after them."""
        # The cache starts anew before numbers are given away, never within a call.
        if len(self.tokens) > self._max_forms or len(self._pieces) > 2 * self._max_forms:
            self._clear()
        pieces_of = [find_pieces(text) for text in texts]
        # All new pieces of the texts are learned together: spaCy and the embedding work in batches.
        self._learn(set().union(*pieces_of))
        has_spaced_rule, joined = self._has_spaced_rule, self._joined
        flat = [GAP]
        # A text is its words; where a rule reaches further, it is one piece, or neighbors are merged.
        for text, pieces in zip(texts, pieces_of, strict=True):
            if has_spaced_rule is not None and has_spaced_rule(text):
                flat += self._learn_whole([text])
            elif joined and not joined.isdisjoint(pieces):
                flat += self._learn_whole(merge_around(pieces, joined))
            else:
                flat += pieces
            flat.append(GAP)
        return np.fromiter(chain.from_iterable(map(self._pieces.__getitem__, flat)), np.int32)

    def _learn(self, pieces: set[str]) -> None:
        """Find the forms of those of `pieces` that are new."""
        new = pieces.difference(self._pieces)
        if not new:
            return
        # Long runs without white space are tokenized in parts, and then have the forms of the parts.
        cut = {
            piece: find_pieces(cut_long_runs(piece, max_run=self._max_run))
            for piece in new
            if len(piece) > self._max_run and not piece.isspace()
        }
        parts = set(chain.from_iterable(cut.values())) - self._pieces.keys()
        self._store(list(self._word_tokenizer.tokenize((new - cut.keys()) | parts)))
        for piece, piece_parts in cut.items():
            self._pieces[piece] = tuple(chain.from_iterable(map(self._pieces.__getitem__, piece_parts)))
            if not self._joined.isdisjoint(piece_parts):
                self._joined.add(piece)

    def _learn_whole(self, pieces: list[str]) -> list[str]:
        """Find the forms of those of `pieces` that are new, where a piece may hold several words; return `pieces`."""
        for piece in pieces:
            if piece not in self._pieces:
                whole = next(self._word_tokenizer.tokenize([cut_long_runs(piece, max_run=self._max_run)]))
                self._store([WordTokens(piece, whole.rows, is_joined=False)])
        return pieces

    def _store(self, tokenized: list[WordTokens]) -> None:
        """Number the forms of all tokens and remember them by piece."""
        numbers, num_known = self._numbers, len(self.tokens)
        # Tokens with equal attributes share one form; embeddings are computed for new forms only.
        new_rows: list[tuple[int, ...]] = []
        for piece, rows, is_joined in tokenized:
            forms = []
            for row in rows:
                number = numbers.get(row)
                if number is None:
                    number = numbers[row] = num_known + len(new_rows)
                    new_rows.append(row)
                forms.append(number)
            self._pieces[piece] = tuple(forms)
            if is_joined:
                self._joined.add(piece)
        if new_rows:
            strings = self._nlp.vocab.strings
            self._add([strings[row[0]] for row in new_rows], np.array(new_rows, np.uint64))

    def _add(self, words: list[str], attributes: NDArray[np.uint64]) -> None:
        """Append the forms of `words`; `attributes` (new, columns) starts with ORTH."""
        are_words = [not word.isspace() for word in words]
        word_class = self._pos_table.word_class
        classes = [word_class(word, is_space=not is_word) for word, is_word in zip(words, are_words, strict=True)]
        # All columns grow together: row f of each belongs to form f.
        self.tokens += words
        self._is_word.append(np.array(are_words, np.bool_))
        self._word_class.append(np.array(classes, np.int64))
        self._attributes.append(attributes)
        self._vectors.append(self._network.embed(self._embeddings(attributes)))

    def _embeddings(self, attributes: NDArray[np.uint64]) -> NDArray[np.float32]:
        """Return the (new, tables * W) concatenated hash embeddings, as thinc's HashEmbed computes them."""
        from thinc.api import NumpyOps

        ops, parts = NumpyOps(), []
        for table in self._weights.tables:
            # thinc hashes a value to four rows and sums them: (values, 4, width) become (new, width).
            values, inverse = np.unique(attributes[:, 1 + table.column], return_inverse=True)
            rows = ops.hash(values, table.seed) % table.rows.shape[0]  # (values, 4)
            parts.append(table.rows[rows].sum(axis=1)[inverse])
        static = self._weights.static
        if static is not None:
            # Words without a vector have row -1, which indexing reads as the last row; they become zero below.
            rows = static.vectors.find(keys=attributes[:, 0])
            vectors = np.asarray(static.vectors.data)[rows] @ static.projection.T
            vectors[rows < 0] = 0
            parts.append(vectors)
        return np.concatenate(parts, axis=1, dtype=np.float32)


def _growing(dtype: type[np.generic], *size: int) -> ResizableArray:
    """Return one row of zeros, the gap, that more rows of `size` can follow."""
    return ResizableArray(np.zeros((1, *size), dtype), lambda num_rows: np.empty((num_rows, *size), dtype))
