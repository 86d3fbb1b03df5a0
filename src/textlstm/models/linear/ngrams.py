"""The features of the linear expert: word n-grams, and character n-grams beside them if wanted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from textlstm.arrays.ragged import SplitWords, text_blocks
from textlstm.models.linear.char_ngrams import CharacterNgrams
from textlstm.models.linear.tfidf import SparseRows, join_columns, stack_rows
from textlstm.models.linear.word_ngrams import WordNgrams


@dataclass(frozen=True, slots=True)
class NgramTable:
    """Word n-grams come first in the columns, character n-grams after them."""

    words: WordNgrams
    characters: CharacterNgrams | None

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        *,
        all_tokens: bool,
        characters: bool,
        across_words: bool = False,
        with_words: bool = True,
        max_features: int,
        words: SplitWords | None = None,
    ) -> "NgramTable":
        """Return the table of all n-grams of `texts`; rare ones are left out until at most `max_features` remain.

        Args:
            texts: the training texts.
            all_tokens: words of one letter and punctuation marks count as words.
            characters: whether there are character n-grams too.
            across_words: whether character n-grams span words, or stay within words.
            with_words: whether there are word n-grams.
            max_features: most columns.
            words: the words of `texts`, if known already.
        """
        split = SplitWords.of([]) if not with_words else SplitWords.of(texts) if words is None else words
        min_count = 1
        # Raise the least count until the table fits; when it exceeds the number of texts, no n-gram is left.
        while True:
            of_words = WordNgrams.fit(split, all_tokens=all_tokens, min_count=min_count)
            found = None
            if characters:
                found = CharacterNgrams.fit(texts, across_words=across_words, min_count=min_count)
            table = cls(of_words, found)
            if table.num_features <= max_features or min_count > len(texts):
                return table
            min_count += 1

    @property
    def num_features(self) -> int:
        """Number of columns."""
        return self.words.num_features + (self.characters.num_features if self.characters else 0)

    @property
    def description(self) -> str:
        """Say what the columns are, such as "words 1-2 and characters 2-5"."""
        parts = ["words 1-2"] if self.words.num_features or self.characters is None else []
        if self.characters is not None:
            parts.append("characters 1-3" if self.characters.across_words else "characters 2-5")
        return " and ".join(parts)

    def transform(self, texts: Sequence[str], words: SplitWords | None = None) -> SparseRows:
        """Return the TF-IDF rows of `texts`; the word part and the character part each have length 1 (or 0).

        `words` are the words of `texts`, if known already.
        """
        words = SplitWords.of(texts) if words is None else words
        rows = self.words.transform(words)
        if self.characters is None:
            return rows
        return join_columns(rows, self.characters.transform(texts, words), num_left=self.words.num_features)

    def transform_all(self, texts: Sequence[str], words: SplitWords | None = None) -> SparseRows:
        """Return the rows of `transform` for any number of texts, in bounded temporary memory."""
        blocks = list(text_blocks(texts))
        its_words = [None if words is None else words.select(block.start, block.stop) for block in blocks]
        return stack_rows([self.transform(texts[block], its) for block, its in zip(blocks, its_words, strict=True)])

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the table as plain arrays."""
        arrays = {f"words.{name}": array for name, array in self.words.to_arrays().items()}
        if self.characters is not None:
            arrays |= {f"characters.{name}": array for name, array in self.characters.to_arrays().items()}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "NgramTable":
        """Return the table that `to_arrays` wrote."""
        characters = _with_prefix(arrays, "characters.")
        return cls(
            WordNgrams.from_arrays(_with_prefix(arrays, "words.")),
            CharacterNgrams.from_arrays(characters) if characters else None,
        )


def _with_prefix(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
