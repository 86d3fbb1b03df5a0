"""Tokens and parts of speech of many texts at once, equal to spaCy's."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from textlstm.config import Precision
from textlstm.text.blocks import Bounds, block_bounds
from textlstm.text.near_ties import settle_near_ties
from textlstm.text.normalize import TokenNormalizer
from textlstm.text.pos_table import PosTable
from textlstm.text.prepared import PreparedTexts, join_prepared
from textlstm.text.tag_guesses import TagNetwork
from textlstm.text.tagger_weights import TaggerWeights, read_weights
from textlstm.text.token_column import TokenColumn
from textlstm.text.word_forms import WordForms

if TYPE_CHECKING:
    from spacy.language import Language

_BLOCK_CHARS = 400_000
"""Characters of the texts that are tagged together: about 80,000 tokens."""
_MAX_FORMS = 200_000
"""The cache of word forms starts anew beyond this many; about 150 MB."""


class TaggedBlock(NamedTuple):
    """Word forms and tags of a block of N texts; gap rows included."""

    form_ids: NDArray[np.int32]
    """(R,) int32; 0 between texts."""
    starts: NDArray[np.int64]
    """(N,) first row of each text."""
    ends: NDArray[np.int64]
    """(N,) row after the last one of each text."""
    tags: NDArray[np.int64]
    """(R,) index into `FastTagging.tag_names`."""
    pos: NDArray[np.uint8]
    """(R,) index into POS_TAGS."""


class FastTagging:
    """The fast path with parts of speech."""

    def __init__(
        self,
        nlp: "Language",
        *,
        normalizer: TokenNormalizer,
        kept_pos: NDArray[np.bool_],
        max_run: int,
        precision: Precision,
        device: str,
    ) -> None:
        """Take the weights out of `nlp`.

        Args:
            nlp: Pipeline of tok2vec, tagger and attribute_ruler.
            normalizer: What becomes of each token.
            kept_pos: (len(POS_TAGS),) which parts of speech stay.
            max_run: Longer runs without white space are cut.
            precision: fp32 gives spaCy's own tags.
            device: `cpu`, `cuda`, or `numpy` for the CPU without torch (always fp32).

        Raises:
            UnknownArchitecture: The pipeline is not one that can be computed here.
        """
        weights = read_weights(nlp)
        self._nlp = nlp
        _drop_unused_attributes(nlp, weights.columns)
        self._kept_pos = kept_pos
        self._settles_ties = precision is Precision.fp32
        self._network = _build_network(weights, device=device, precision=precision)
        self._table = PosTable(nlp, weights.labels)
        self._forms = WordForms(
            nlp,
            weights,
            self._network,
            pos_table=self._table,
            normalizer=normalizer,
            max_run=max_run,
            max_forms=_MAX_FORMS,
        )
        self.tag_names = self._table.tag_names

    def prepare(self, texts: Sequence[str]) -> PreparedTexts:
        """Tokenise, tag, filter and normalise; white-space tokens are dropped."""
        bounds = list(block_bounds(texts, max_chars=_BLOCK_CHARS)) or [Bounds(0, 0)]
        return join_prepared([self._filter(self.tag(texts[start:end]), end - start) for start, end in bounds])

    def tag(self, texts: Sequence[str]) -> TaggedBlock:
        """Return the word forms, tags and parts of speech of all texts, white space included."""
        with self._nlp.memory_zone():
            form_ids = self._forms.form_ids(texts)
            guesses = self._network.guess(self._forms.vectors, form_ids)
            tags, field = guesses.tags, self._network.receptive_field
            rows = np.flatnonzero(guesses.near_ties & (form_ids != 0))
            if self._settles_ties and len(rows):
                tags[rows] = settle_near_ties(
                    self._nlp, self._forms, form_ids=form_ids, rows=rows, receptive_field=field
                )
        gaps = np.flatnonzero(form_ids == 0).reshape(-1, field)
        classes = self._forms.word_class[form_ids]
        return TaggedBlock(
            form_ids=form_ids,
            starts=gaps[:-1, -1] + 1,
            ends=gaps[1:, 0],
            tags=self._table.tags[classes, tags],
            pos=self._table.pos[classes, tags],
        )

    def _filter(self, block: TaggedBlock, num_texts: int) -> PreparedTexts:
        """Drop gaps, white space, stop words and unwanted parts of speech."""
        forms = self._forms
        is_word = forms.is_word[block.form_ids]
        kept = forms.has_token[block.form_ids] & self._kept_pos[block.pos]
        before = np.concatenate([[0], np.cumsum(kept)])
        words_before = np.concatenate([[0], np.cumsum(is_word)])
        num_kept = before[block.ends] - before[block.starts]
        num_words = words_before[block.ends] - words_before[block.starts]
        offsets = np.zeros(num_texts + 1, np.int64)
        np.cumsum(num_kept, out=offsets[1:])
        return PreparedTexts(
            tokens=TokenColumn(forms.tokens, block.form_ids[kept]),
            offsets=offsets,
            pos=block.pos[kept],
            num_removed=(num_words - num_kept).astype(np.int32),
        )


def _build_network(weights: TaggerWeights, *, device: str, precision: Precision) -> TagNetwork:
    if device == "numpy":
        from textlstm.text.tagger_numpy import NumpyTaggerNetwork

        return NumpyTaggerNetwork(weights)
    from textlstm.text.tagger_network import TaggerNetwork

    return TaggerNetwork(weights, device=device, precision=precision)


def _drop_unused_attributes(nlp: "Language", columns: Sequence[str]) -> None:
    """Spare the computation of attributes of new words that nothing reads, such as LIKE_URL: half their cost."""
    from spacy.attrs import IDS, IS_SPACE, LOWER, NORM

    needed = {IS_SPACE, LOWER, NORM, *(IDS[name] for name in columns)}
    nlp.vocab.lex_attr_getters = {key: getter for key, getter in nlp.vocab.lex_attr_getters.items() if key in needed}
