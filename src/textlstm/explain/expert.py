"""How much of a decision was the linear expert's, which of its n-grams counted, and which words count for a class."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from textlstm.arrays.ragged import SplitWords, row_numbers
from textlstm.explain.attribution import against_rest
from textlstm.inference.classifier import TextClassifier
from textlstm.inference.prediction import Scores
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
    expert = classifier.expert if combiner.uses_expert else None
    found = []
    for row, text in enumerate(texts):
        label, probabilities = int(labels[row]), scores.probabilities[row]
        # (L,) parts of logits become one part of the label's log-odds.
        recurrent = against_rest(combiner.recurrent_scale * scores.recurrent_logits[row], label, probabilities, task)
        biases = np.broadcast_to(combiner.bias, len(probabilities))
        class_bias = float(against_rest(biases, label, probabilities, task))
        if expert is None or scores.expert_logits is None:
            found.append(Branches(float(recurrent), 0.0, class_bias, ()))
            continue
        # The expert as a whole, then its n-grams and word vectors one by one.
        whole = against_rest(combiner.expert_scale * scores.expert_logits[row], label, probabilities, task)
        features, values = _features(expert, text)
        parts = expert.function.weights[features] * values[:, None]  # (n-grams, L)
        # Without word vectors there are no parts of words.
        meanings = WordParts((), parts[:0]) if expert.vectors is None else expert.vectors.parts(text)
        # (n-grams + words, L): the columns of the table first, then the words by their vectors.
        parts = np.concatenate([parts, meanings.margins])
        effects = against_rest(combiner.expert_scale * parts, label, probabilities, task)
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


class CountedWord(NamedTuple):
    """A word over the texts that were given a label."""

    word: str
    num_texts: int
    """Texts of the label that hold the word."""
    weight: float
    """What the word adds to the score of the label, mean over the label's texts."""


def words_of_labels(
    expert: LinearExpert, texts: Sequence[str], has_label: np.ndarray, *, without: Collection[str], most: int
) -> list[list[CountedWord]]:
    """Return for each label the words that add most to its score over the texts that were given it.

    Single words alone: pairs, characters and marks are left out, and so are the words of `without`.

    Args:
        expert: the linear expert of a model.
        texts: N raw texts.
        has_label: (N, L) bool: which labels a text was given.
        without: words in lower case, such as stop words.
        most: words a label.
    """
    names = list(expert.table.words.words)
    usable = np.array([len(name) > 1 and name.isalpha() and name not in without for name in names], dtype=np.bool_)
    rows = expert.table.words.transform(SplitWords.of(list(texts)))
    # (M,) entries of single words that may be shown, with the text that each is in.
    in_texts = row_numbers(np.diff(rows.offsets))
    kept = rows.features < len(names)
    kept[kept] = usable[rows.features[kept]]
    features, values, in_texts = rows.features[kept], rows.values[kept], in_texts[kept]
    found = []
    for label in range(has_label.shape[1]):
        entries = has_label[in_texts, label]
        its_features = features[entries]
        # (words,) sums over the label's texts; only words that occur there are ranked.
        added = np.bincount(its_features, values[entries] * expert.function.weights[its_features, label], len(names))
        counts = np.bincount(its_features, minlength=len(names))
        strongest = np.argsort(-added, kind="stable")[:most]
        num_texts = max(int(has_label[:, label].sum()), 1)
        found.append(
            [
                CountedWord(names[word], int(counts[word]), float(added[word]) / num_texts)
                for word in strongest.tolist()
                if added[word] > 0
            ]
        )
    return found
