"""The plain path: spaCy's own `nlp.pipe`. Slow, and what the fast paths are measured against."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from textlstm.arrays.chunks import blocks_by_words
from textlstm.arrays.strings import TokenColumn
from textlstm.text.normalization import TokenNormalizer
from textlstm.text.tagger.pos import POS_INDEX
from textlstm.text.tokenized import TokenizedTexts
from textlstm.text.tokenizer.word_tokenizer import cut_long_runs

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

_BLOCK_WORDS = 10_000
"""Words of the texts whose annotations are in memory together; spaCy needs some 4 KB a word."""


class SpacyTagging:
    """Tokens, and parts of speech or lemmas where wanted, of any spaCy pipeline."""

    def __init__(
        self,
        nlp: "Language",
        *,
        normalizer: TokenNormalizer,
        kept_pos: NDArray[np.bool_],
        max_run: int,
        has_pos: bool,
        has_lemmas: bool,
    ) -> None:
        """Prepare with all components of `nlp`; `kept_pos` (len(POS_TAGS),) says which tags stay."""
        self._nlp = nlp
        self._normalizer = normalizer
        self._kept_pos = kept_pos.tolist()
        self._max_run = max_run
        self._has_pos = has_pos
        self._has_lemmas = has_lemmas

    def prepare(self, texts: Sequence[str]) -> TokenizedTexts:
        """Tokenize, tag, filter and normalize; white-space tokens are dropped."""
        tokens: list[str] = []
        pos: list[int] = []
        ends, num_removed = [0], []
        for doc_tokens, doc_pos, removed in self._docs(texts):
            tokens += doc_tokens
            pos += doc_pos
            ends.append(len(tokens))
            num_removed.append(removed)
        return TokenizedTexts(
            tokens=TokenColumn.of(tokens),
            offsets=np.array(ends, np.int64),
            pos=np.array(pos, np.uint8) if self._has_pos else None,
            num_removed=np.array(num_removed, np.int32),
        )

    def _docs(self, texts: Sequence[str]) -> Iterator[tuple[list[str], list[int], int]]:
        cut = (cut_long_runs(text, max_run=self._max_run) for text in texts)
        for block in blocks_by_words(cut, max_words=_BLOCK_WORDS):
            with self._nlp.memory_zone():
                prepared = [self._filter(doc) for doc in self._nlp.pipe(block, batch_size=64)]
            yield from prepared

    def _filter(self, doc: "Doc") -> tuple[list[str], list[int], int]:
        """Return the kept tokens, their tags, and how many were removed."""
        words = [token for token in doc if not token.is_space]
        kept = [
            (token, tag)
            for token in words
            if self._kept_pos[tag := POS_INDEX[token.pos_] if self._has_pos else 0]
            if not self._normalizer.is_removed(token.text)
        ]
        normalize = self._normalizer.normalize
        tokens = [normalize(token.lemma_ or token.text if self._has_lemmas else token.text) for token, _ in kept]
        return tokens, [tag for _, tag in kept], len(words) - len(kept)
