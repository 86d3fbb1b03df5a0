"""What preparation took out of a text, and what the decision would have been with it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from textlstm.predictor import TextClassifier
from textlstm.text.pipeline import TextPipeline
from textlstm.text.prepared import PreparedTexts


class Filtered(NamedTuple):
    """The words that the stop list and the part-of-speech filter removed from one text."""

    words: tuple[str, ...]
    """As often as they were removed, in the order of the text."""
    label: str
    """The label when nothing is removed."""
    probability: float
    """Its probability."""


def undo_filters(classifier: TextClassifier, texts: Sequence[str], prepared: PreparedTexts) -> list[Filtered | None]:
    """Return for each text what was removed; None where nothing was.

    The model never saw the words of its stop list in training, so they reach the network as unknown words.
    """
    if not prepared.num_removed.any():
        return [None] * len(texts)
    touched = np.flatnonzero(prepared.num_removed).tolist()
    pipeline = unfiltered_pipeline(classifier)
    chosen = [texts[row] for row in touched]
    unfiltered = pipeline.prepare(chosen)
    predictions = classifier.decide(chosen, classifier.score_prepared(unfiltered, chosen).probabilities)
    found: list[Filtered | None] = [None] * len(texts)
    for place, (row, prediction) in enumerate(zip(touched, predictions, strict=True)):
        words = missing_words(prepared.text_tokens(row), unfiltered.text_tokens(place))
        found[row] = Filtered(words, prediction.label, prediction.probability)
    return found


def unfiltered_pipeline(classifier: TextClassifier) -> TextPipeline:
    """Return the model's own preparation without stop list and filter; it tags only where the network reads tags."""
    text, model = classifier.bundle.text, classifier.bundle.model
    has_pos = text.pos and (model.pos_embedding_size > 0 or text.lemmas)
    return TextPipeline(replace(text, stop_words="keep", keep_pos=[], drop_pos=[], pos=has_pos))


def missing_words(kept: Sequence[str], everything: Sequence[str]) -> tuple[str, ...]:
    """Return the words of `everything` that are not in `kept`, as often as they are missing.

    >>> missing_words(["good"], ["not", "good", "not"])
    ('not', 'not')
    """
    left = Counter(kept)
    missing = []
    for word in everything:
        if left[word] > 0:
            left[word] -= 1
        else:
            missing.append(word)
    return tuple(missing)
