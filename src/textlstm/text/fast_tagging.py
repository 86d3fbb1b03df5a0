"""Tokens and parts of speech of many texts at once, equal to spaCy's."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from textlstm.config import Precision
from textlstm.text.normalize import TokenNormalizer
from textlstm.text.pos_table import PosTable
from textlstm.text.prepared import PreparedTexts
from textlstm.text.tagger_network import TaggerNetwork
from textlstm.text.tagger_weights import read_weights
from textlstm.text.word_forms import GAP, WordForms, find_pieces

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
        precision: Precision,
        device: str,
    ) -> None:
        """Take the weights out of `nlp`.

        Args:
            nlp: Pipeline of tok2vec, tagger and attribute_ruler.
            normalizer: What becomes of each token.
            kept_pos: (len(POS_TAGS),) which parts of speech stay.
            precision: fp32 gives spaCy's own tags.
            device: `cpu` or `cuda`.

        Raises:
            UnknownArchitecture: The pipeline is not one that can be computed here.
        """
        weights = read_weights(nlp)
        self._nlp = nlp
        self._kept_pos = kept_pos
        self._settles_ties = precision is Precision.fp32
        self._network = TaggerNetwork(weights, device=device, precision=precision)
        self._table = PosTable(nlp, weights.labels)
        self._label_index = {label: index for index, label in enumerate(weights.labels)}
        self._forms = WordForms(
            nlp, weights, self._network, pos_table=self._table, normalizer=normalizer, max_forms=_MAX_FORMS
        )
        self.tag_names = self._table.tag_names

    def prepare(self, texts: Sequence[str]) -> list[PreparedTexts]:
        """Return the prepared texts, in one or more parts."""
        return [self._filter(self.tag(texts[start:end]), end - start) for start, end in _blocks(texts)]

    def tag(self, texts: Sequence[str]) -> TaggedBlock:
        """Return the word forms, tags and parts of speech of all texts, white space included."""
        with self._nlp.memory_zone():
            pieces = [GAP]
            for text in texts:
                pieces += find_pieces(text)
                pieces.append(GAP)
            form_ids = self._forms.form_ids(pieces)
            field = self._network.receptive_field
            gaps = np.flatnonzero(form_ids == 0).reshape(-1, field)
            starts, ends = gaps[:-1, -1] + 1, gaps[1:, 0]
            guesses = self._network.guess(self._forms.vectors, form_ids)
            tags = guesses.tags
            if self._settles_ties:
                self._settle_ties(texts, tags, guesses.near_ties & (form_ids != 0), starts, ends)
        classes = self._forms.word_class[form_ids]
        return TaggedBlock(form_ids, starts, ends, self._table.tags[classes, tags], self._table.pos[classes, tags])

    def _settle_ties(
        self,
        texts: Sequence[str],
        tags: NDArray[np.int64],
        near_ties: NDArray[np.bool_],
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
    ) -> None:
        """Ask spaCy about each text in which rounding might decide; changes `tags` in place."""
        rows = np.flatnonzero(near_ties)
        tagger = self._nlp.get_pipe("tagger")
        for index in np.unique(np.searchsorted(ends, rows, side="right")).tolist():
            doc = self._nlp.make_doc(texts[index])
            if "tok2vec" in self._nlp.pipe_names:
                doc = self._nlp.get_pipe("tok2vec")(doc)
            tags[starts[index] : ends[index]] = tagger.predict([doc])[0]

    def _filter(self, block: TaggedBlock, num_texts: int) -> PreparedTexts:
        """Drop gaps, white space, stop words and unwanted parts of speech."""
        forms, all_tokens = self._forms, self._forms.tokens
        is_word = forms.is_token[block.form_ids]
        has_token = np.array([bool(token) for token in all_tokens], np.bool_)
        kept = is_word & has_token[block.form_ids] & self._kept_pos[block.pos]
        before = np.concatenate([[0], np.cumsum(kept)])
        words_before = np.concatenate([[0], np.cumsum(is_word)])
        num_kept = before[block.ends] - before[block.starts]
        num_words = words_before[block.ends] - words_before[block.starts]
        offsets = np.zeros(num_texts + 1, np.int64)
        np.cumsum(num_kept, out=offsets[1:])
        return PreparedTexts(
            tokens=list(map(all_tokens.__getitem__, block.form_ids[kept].tolist())),
            offsets=offsets,
            pos=block.pos[kept],
            num_removed=(num_words - num_kept).astype(np.int32),
        )


def _blocks(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Return (start, end) of runs of texts of about `_BLOCK_CHARS` characters together."""
    blocks, start, num_chars = [], 0, 0
    for index, text in enumerate(texts):
        num_chars += len(text)
        if num_chars >= _BLOCK_CHARS:
            blocks.append((start, index + 1))
            start, num_chars = index + 1, 0
    return [*blocks, (start, len(texts))] if start < len(texts) or not blocks else blocks
