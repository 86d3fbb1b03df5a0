"""Words that preparation took out of a text, and the decision with these words left in."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from textlstm.inference.classifier import TextClassifier
from textlstm.text.fingerprint import inference_text
from textlstm.text.pipeline import TextPipeline
from textlstm.text.tokenized import TokenizedTexts


class Filtered(NamedTuple):
    """The words that the stop list and the part-of-speech filter removed from one text."""

    words: tuple[str, ...]
    """As often as they were removed, in the order of the text."""
    label: str
    """The label when nothing is removed."""
    probability: float
    """Its probability."""


class Unfiltered(NamedTuple):
    """The rows that lost words, R of N, and the model's probabilities for them when nothing is removed."""

    rows: list[int]
    words: list[tuple[str, ...]]
    """(R,) the removed words of each, as often as they were removed, in the order of the text."""
    probabilities: NDArray[np.float32]
    """(R, L)."""


def undo_filters(classifier: TextClassifier, texts: Sequence[str], prepared: TokenizedTexts) -> list[Filtered | None]:
    """Return the removed words of each text and its label with them; None where nothing was removed."""
    found: list[Filtered | None] = [None] * len(texts)
    unfiltered = score_unfiltered(classifier, texts, prepared)
    if unfiltered is not None:
        predictions = classifier.decide([texts[row] for row in unfiltered.rows], unfiltered.probabilities)
        for row, words, prediction in zip(unfiltered.rows, unfiltered.words, predictions, strict=True):
            found[row] = Filtered(words, prediction.label, prediction.probability)
    return found


def score_unfiltered(classifier: TextClassifier, texts: Sequence[str], filtered: TokenizedTexts) -> Unfiltered | None:
    """Prepare and score those of the N `texts` that lost words once more, with all their words.

    The model never saw the words of its stop list in training, so they reach the network as unknown words.

    Args:
        classifier: the model.
        texts: the texts as they were given.
        filtered: their words after the filters.

    Returns:
        The removed words and the probabilities with them; None where no text lost a word.
    """
    rows: list[int] = np.flatnonzero(filtered.num_removed).tolist()
    if not rows:
        return None
    chosen = [texts[row] for row in rows]
    prepared = unfiltered_pipeline(classifier).prepare(chosen)
    words = [missing_words(filtered.text_tokens(row), prepared.text_tokens(place)) for place, row in enumerate(rows)]
    return Unfiltered(rows, words, classifier.score_prepared(prepared, chosen).probabilities)


def unfiltered_pipeline(classifier: TextClassifier) -> TextPipeline:
    """Return the model's own preparation without stop list and filter; it tags only where the network reads tags."""
    saved_model = classifier.saved_model
    unfiltered = replace(saved_model.text, stop_words="keep", keep_pos=[], drop_pos=[])
    return TextPipeline(
        inference_text(unfiltered, saved_model.model), saved=replace(saved_model.text_fingerprint, stop_words=())
    )


def missing_words(kept: Sequence[str], everything: Sequence[str]) -> tuple[str, ...]:
    """Return the words of `everything` that are not in `kept`, as often as they are missing.

    >>> missing_words(["good"], ["not", "good", "not"])
    ('not', 'not')
    """
    # The same words may occur among the kept ones: each kept occurrence accounts for one.
    left = Counter(kept)
    missing = []
    for word in everything:
        if left[word] > 0:
            left[word] -= 1
        else:
            missing.append(word)
    return tuple(missing)
