"""How much of a decision was the linear expert's, and which of its n-grams counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from textlstm.explain.attribution import against_rest
from textlstm.inference.classifier import Scores, TextClassifier
from textlstm.models.linear.expert import LinearExpert
from textlstm.models.linear.mean_vectors import WordParts
from textlstm.models.linear.ngrams import NgramTable

_MOST_NGRAMS = 8


class NgramEffect(NamedTuple):
    """One n-gram of a text and its part of the combined log-odds."""

    ngram: str
    effect: float


@dataclass(frozen=True, slots=True)
class Branches:
    """What each branch puts into the combined log-odds of the explained label, to first order, before scaling."""

    recurrent: float
    expert: float
    """0 where the model has no linear expert, or the combiner leaves it out."""
    class_bias: float
    """The part of the combiner's biases, which do not depend on the text; 0 where it has none."""
    ngrams: tuple[NgramEffect, ...]
    """The strongest n-grams of the expert, by size of their effect; `~word` is what a word's vector adds."""

    @property
    def expert_share(self) -> float:
        """The expert's part of the absolute sum, 0 to 1."""
        return abs(self.expert) / max(abs(self.expert) + abs(self.recurrent), 1e-12)


def weigh_branches(
    classifier: TextClassifier, texts: Sequence[str], scores: Scores, labels: np.ndarray
) -> list[Branches]:
    """Return for each text how its decision for `labels` (N,) came about."""
    combiner, task = classifier.combiner, classifier.saved_model.task
    expert = classifier.expert if combiner.expert_scale else None
    found = []
    for row, text in enumerate(texts):
        label, probabilities = int(labels[row]), scores.probabilities[row]
        # (L,) parts of logits become one part of the label's log-odds.
        recurrent = against_rest(scores.recurrent_logits[row], label, probabilities, task) * combiner.recurrent_scale
        biases = np.broadcast_to(combiner.bias, len(probabilities))
        class_bias = float(against_rest(biases, label, probabilities, task))
        if expert is None or scores.expert_logits is None:
            found.append(Branches(float(recurrent), 0.0, class_bias, ()))
            continue
        # The expert as a whole, then its n-grams and word vectors one by one.
        whole = against_rest(scores.expert_logits[row], label, probabilities, task) * combiner.expert_scale
        features, values = _features(expert, text)
        parts = expert.function.weights[features] * values[:, None]  # (n-grams, L)
        # Without word vectors there are no parts of words.
        meanings = WordParts((), parts[:0]) if expert.vectors is None else expert.vectors.parts(text)
        # (n-grams + words, L): the columns of the table first, then the words by their vectors.
        parts = np.concatenate([parts, meanings.margins])
        effects = against_rest(parts, label, probabilities, task) * combiner.expert_scale
        strongest = np.argsort(-np.abs(effects), kind="stable")[:_MOST_NGRAMS]
        names = _part_names(expert.table, features, meanings.words, strongest)
        ngrams = tuple(NgramEffect(name, float(effects[k])) for name, k in zip(names, strongest, strict=True))
        found.append(Branches(float(recurrent), float(whole), class_bias, ngrams))
    return found


def _part_names(table: NgramTable, features: np.ndarray, words: Sequence[str], chosen: np.ndarray) -> list[str]:
    """Return the names of chosen parts: n-grams, then words by the vectors of their meaning, marked by a tilde."""
    num_ngrams = len(features)
    ngrams = iter(ngram_names(table, features[chosen[chosen < num_ngrams]]))
    return [next(ngrams) if k < num_ngrams else f"~{words[k - num_ngrams]}" for k in chosen.tolist()]


def ngram_names(table: NgramTable, features: np.ndarray) -> list[str]:
    """Return the n-grams of columns: words as they are, pairs with a space, characters in quotation marks."""
    words = list(table.words.words)
    characters = [] if table.characters is None else list(table.characters.ngrams)
    num_words, num_word_features = len(words), table.words.num_features
    names = []
    for feature in features.tolist():
        if feature < num_words:
            names.append(words[feature])
        elif feature < num_word_features:
            # A pair's key is the first word's number times the number of words, plus the second word's.
            first, second = divmod(int(table.words.pairs.keys[feature - num_words]), num_words)
            names.append(f"{words[first]} {words[second]}")
        else:
            names.append(f"“{characters[feature - num_word_features]}”")
    return names


def _features(expert: LinearExpert, text: str) -> tuple[np.ndarray, np.ndarray]:
    rows = expert.table.transform([text])
    return rows.features, rows.values
