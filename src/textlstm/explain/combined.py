"""What each word put into the decision of the whole model: both branches, mixed and calibrated as they are used.

The log-odds of the label are a sum: those of a text without words, and one number a word. The numbers are Shapley
values by permutation sampling (Strumbelj and Kononenko 2010): words come in one after another, in some orders and the
reverse of each, and a word gets by how much the log-odds change when it comes. What the changes of an order add up to
is the whole change, so the sum is exact for any number of orders.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from textlstm.config import Task
from textlstm.explain.expert import ngram_names
from textlstm.explain.reader import TextReader, make_variants
from textlstm.inference.prediction import Scores
from textlstm.models.linear.expert import LinearExpert

_MOST_PAIRS = 4
_STEPS = 120
"""Words that come in, over the forward orders of a text: short texts get several orders, long ones a single one."""


class Combined(NamedTuple):
    """The log-odds of one text's label as a sum: `bias + words.sum() + other`."""

    words: np.ndarray
    """(T,) float32: the part of each token that the network reads."""
    other: float
    """The part of the linear expert's n-grams whose words the network does not read."""
    bias: float
    """Log-odds of the label for a text without words."""
    log_odds: float
    """Calibrated log-odds of the label, by the whole model."""


class _ExpertParts(NamedTuple):
    """The logits of the linear expert for one text of T tokens and L labels, cut into parts."""

    words: np.ndarray
    """(T, L) float64."""
    other: np.ndarray
    """(L,) of n-grams that belong to no token."""
    start: np.ndarray
    """(L,) of a text without words."""


def combined_contributions(
    reader: TextReader, texts: Sequence[str], scores: Scores, labels: np.ndarray
) -> list[Combined]:
    """Return the sum of each text.

    Args:
        reader: the N texts as the network reads them.
        texts: the N texts as the expert reads them.
        scores: of the whole texts.
        labels: (N,) int64 label that is explained for each text.
    """
    combiner, task = reader.classifier.combiner, reader.classifier.saved_model.task
    # Both branches are read once for all orders: the network on growing texts, the expert in parts that add up.
    logits = reader.logits(make_variants(reader, _growing_texts))
    parts = _expert_parts(reader, texts, scores)
    whole = combiner.combine(scores.recurrent_logits, scores.expert_logits)
    found, begin = [], 0
    for row, length in enumerate(reader.split.lengths.tolist()):
        label = int(labels[row])
        words, other, bias = np.zeros(length), 0.0, 0.0
        # Every order is followed by its reverse, as in `_growing_texts`: the logits come in the same sequence.
        runs = [run for order in _orders(length) for run in ((order, False), (order[::-1], True))]
        for order, other_last in runs:
            recurrent = logits[begin : begin + length + 1]  # (T + 1, L): after 0, 1, ... T words of this order
            begin += length + 1
            expert = None if parts is None else _running_expert(parts[row], order, other_last=other_last)
            if expert is not None:
                # One more step stands for the n-grams of no token: before all words, or after them.
                recurrent = np.concatenate([recurrent, recurrent[-1:]] if other_last else [recurrent[:1], recurrent])
            # The combiner mixes each step as it mixes a whole text; the change of a step belongs to the word that came.
            steps = _log_odds(combiner.combine(recurrent, expert), label, task)
            changes = np.diff(steps)
            bias += steps[0] / len(runs)
            if expert is not None:
                other += float(changes[-1] if other_last else changes[0]) / len(runs)
                changes = changes[:-1] if other_last else changes[1:]
            # T changes are left, in the order of this run.
            words[order] += changes / len(runs)
        log_odds = float(_log_odds(whole[row : row + 1], label, task)[0])
        found.append(Combined(words.astype(np.float32), other, float(bias), log_odds))
    return found


def _orders(length: int) -> list[np.ndarray]:
    """Return the orders in which the words of a text come in: reading order, then random ones, the same each time."""
    generator = np.random.default_rng(length)
    # The number of texts to read grows with the square of the length, so long texts get one pair of orders.
    num_pairs = min(max(_STEPS // max(length, 1), 1), _MOST_PAIRS)
    return [np.arange(length), *(generator.permutation(length) for _ in range(num_pairs - 1))]


def _growing_texts(length: int) -> list[np.ndarray]:
    """Return for each order and its reverse the words that are there after 0, 1, ... steps, in reading order."""
    runs = [run for order in _orders(length) for run in (order, order[::-1])]
    return [np.sort(run[:step]) for run in runs for step in range(length + 1)]


def _running_expert(parts: _ExpertParts, order: np.ndarray, *, other_last: bool) -> np.ndarray:
    """Return (T + 2, L) logits of the expert as the tokens come in by `order`, n-grams of no token first or last."""
    steps = np.vstack([parts.words[order], parts.other] if other_last else [parts.other, parts.words[order]])
    return np.cumsum(np.vstack([parts.start, steps]), axis=0)


def _log_odds(log_probabilities: np.ndarray, label: int, task: Task) -> np.ndarray:
    """Return (K,) float64 log-odds of `label` from (K, L) log-probabilities, or logits of several labels a row."""
    wide = log_probabilities.astype(np.float64)
    if task is Task.multi_label or wide.shape[1] == 1:
        return np.asarray(wide[:, label])
    others = np.delete(wide, label, axis=1)
    return np.asarray(wide[:, label] - np.logaddexp.reduce(others, axis=1))


def _expert_parts(reader: TextReader, texts: Sequence[str], scores: Scores) -> list[_ExpertParts] | None:
    """Return the parts of the expert's logits of every text; None where the expert has no say."""
    expert = reader.classifier.expert
    if expert is None or scores.expert_logits is None or not reader.classifier.combiner.uses_expert:
        return None
    # The names of all n-grams are looked up at once, and handed out text by text below.
    rows = [expert.table.transform([text]) for text in texts]
    names = iter(ngram_names(expert.table, np.concatenate([row.features for row in rows])))
    found = []
    for number, (text, row) in enumerate(zip(texts, rows, strict=True)):
        ngrams = [next(names) for _ in range(len(row.features))]
        margins = expert.function.weights[row.features] * row.values[:, None]  # (n-grams, L)
        ngrams, margins = _with_meanings(expert, text, ngrams, margins)
        tokens = TokenPlaces.of(reader.text_tokens(number))
        words, other = np.zeros((len(tokens.starts), margins.shape[1])), np.zeros(margins.shape[1])
        for ngram, margin in zip(ngrams, margins, strict=True):
            # The tokens of an n-gram share its margin evenly; n-grams without a token that is read go to `other`.
            places = tokens.of_ngram(ngram)
            if places:
                words[places] += margin / len(places)
            else:
                other += margin
        # The rest of the expert's own logits is the start, so the parts add up to them exactly.
        start = scores.expert_logits[number] - words.sum(axis=0) - other
        found.append(_ExpertParts(words, other, start))
    return found


def _with_meanings(
    expert: LinearExpert, text: str, ngrams: list[str], margins: np.ndarray
) -> tuple[list[str], np.ndarray]:
    """Return n-grams and their margins with those of the words' vectors after them."""
    if expert.vectors is None:
        return ngrams, margins
    meanings = expert.vectors.parts(text)
    return [*ngrams, *meanings.words], np.concatenate([margins, meanings.margins])


class TokenPlaces(NamedTuple):
    """Finds the tokens of one text that an n-gram is made of."""

    text: str
    """The tokens in lower case, a line feed around each."""
    starts: list[int]
    """Where each token starts in `text`."""
    by_word: dict[str, list[int]]
    """The places of each token."""

    @classmethod
    def of(cls, tokens: Sequence[str]) -> "TokenPlaces":
        """Return the places of `tokens`."""
        starts, by_word, end = [], dict[str, list[int]](), 1
        lowered = [token.lower() for token in tokens]
        for place, token in enumerate(lowered):
            starts.append(end)
            by_word.setdefault(token, []).append(place)
            end += len(token) + 1
        return cls("\n".join(["", *lowered, ""]), starts, by_word)

    def of_ngram(self, ngram: str) -> list[int]:
        """Return the tokens of an n-gram; characters, in quotation marks, belong to the tokens around them.

        >>> TokenPlaces.of(["the", "parcel", "late"]).of_ngram("late parcel")
        [1, 2]
        >>> TokenPlaces.of(["late", "date"]).of_ngram("“ate”"), TokenPlaces.of(["late"]).of_ngram("of")
        ([0, 1], [])
        """
        found: set[int] = set()
        if ngram.startswith("“") and ngram.endswith("”"):
            # N-grams of characters may reach across words: each piece is looked for inside the tokens.
            for piece in ngram[1:-1].lower().split():
                at = self.text.find(piece)
                while at >= 0:
                    place = bisect_right(self.starts, at) - 1
                    found.add(place)
                    # One place a token is enough: the search goes on in the next one.
                    following = self.starts[place + 1] if place + 1 < len(self.starts) else len(self.text)
                    at = self.text.find(piece, following)
        else:
            for word in ngram.lower().split():
                found.update(self.by_word.get(word, ()))
        return sorted(found)
