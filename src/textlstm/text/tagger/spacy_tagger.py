"""The engine that runs spaCy's own `nlp.pipe`: slow, and the reference for the fast ones."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from textlstm.arrays.ragged import blocks_by_words
from textlstm.arrays.strings import TokenColumn
from textlstm.text.tagger.pos import POS_INDEX
from textlstm.text.tokenized import TaggedTexts
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
        max_run: int,
        has_pos: bool,
        has_lemmas: bool,
    ) -> None:
        """Run all components of `nlp`; longer runs than `max_run` characters without white space are cut."""
        self._nlp = nlp
        self._max_run = max_run
        self._has_pos = has_pos
        self._has_lemmas = has_lemmas

    def tag_blocks(self, texts: Sequence[str]) -> Iterator[TaggedTexts]:
        """Yield the tokens of all texts, with tags and lemmas where they were asked for, in blocks of 10,000 words."""
        cut = (cut_long_runs(text, max_run=self._max_run) for text in texts)
        for block in blocks_by_words(cut, max_words=_BLOCK_WORDS):
            # The zone frees the block's words at its end: by then `_tagged` must have copied every string.
            with self._nlp.memory_zone():
                tagged = self._tagged(self._nlp.pipe(block, batch_size=64))
            yield tagged

    def _tagged(self, docs: "Iterator[Doc]") -> TaggedTexts:
        # A token's number stands for the word and its lemma: one word may have several.
        places: dict[_Form, int] = {}
        numbers: list[int] = []
        pos: list[int] = []
        ends = [0]
        for doc in docs:
            for token in doc:
                if token.is_space:
                    continue
                form = _Form(token.text, token.lemma_ or token.text if self._has_lemmas else token.text)
                numbers.append(places.setdefault(form, len(places)))
                if self._has_pos:
                    pos.append(POS_INDEX[token.pos_])
            ends.append(len(numbers))
        return TaggedTexts(
            tokens=TokenColumn([form.word for form in places], np.array(numbers, np.int32)),
            offsets=np.array(ends, np.int64),
            pos=np.array(pos, np.uint8) if self._has_pos else None,
            lemmas=[form.lemma for form in places] if self._has_lemmas else None,
        )


class _Form(NamedTuple):
    word: str
    lemma: str
    """The word itself where no lemmas were asked for, or spaCy knows none."""
