"""Whether an attribution can be believed: take words out in its order and watch the decision go.

The deletion curve is the recurrent branch's calibrated probability of the explained label when the most important
tenth, two tenths, ... of the words are gone; its area is the mean of the curve. A faithful method takes the decision
away sooner than random deletion, so its area is smaller.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from textlstm.explain.attribution import Method
from textlstm.explain.explanation import Explanation
from textlstm.explain.reader import TextReader, Variants
from textlstm.inference.classifier import TextClassifier
from textlstm.models.calibration.temperature import to_probabilities

FRACTIONS = tuple(tenth / 10 for tenth in range(1, 10))
"""Shares of the words that are taken out; at 0 and at 1 all orders agree."""
NUM_RANDOM = 5
"""Random orders a text."""
_NUM_RESAMPLES = 2_000
_MIN_TOKENS = 2


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """How one method's deletion curve compares with random deletion, over a sample of texts."""

    method: Method
    num_texts: int
    area: float
    """Mean area under the deletion curve, 0 to 1; lower is better."""
    random_area: float
    """The same with words taken out at random."""
    low: float
    high: float
    """95 % bootstrap interval of the margin."""
    curve: tuple[float, ...]
    """Mean probability at each of FRACTIONS."""
    random_curve: tuple[float, ...]

    @property
    def margin(self) -> float:
        """By how much the area is smaller than random's."""
        return self.random_area - self.area

    @property
    def is_believable(self) -> bool:
        """Whether the method beats random deletion beyond chance."""
        return self.low > 0


def judge(classifier: TextClassifier, explanations: Sequence[Explanation], *, seed: int = 0) -> list[Faithfulness]:
    """Return how faithful each method of `explanations`, made by `classifier`, is; best first."""
    if not explanations:
        return []
    # The texts are read again without tags where the network needs none; the tokens are those of the explanations.
    reader = TextReader(classifier, classifier.pipeline.prepare([entry.text for entry in explanations]))
    labels = np.array([classifier.labels.index(entry.label) for entry in explanations], dtype=np.int64)
    methods: dict[Method, list[np.ndarray]] = {
        method: [entry.attributions[method] for entry in explanations]
        for method in explanations[0].attributions
        if method is not Method.combined  # it explains the whole model, and the curve is of the recurrent branch
    }
    return measure_faithfulness(reader, labels, methods, seed=seed)


def measure_faithfulness(
    reader: TextReader,
    labels: np.ndarray,
    attributions: Mapping[Method, Sequence[np.ndarray]],
    *,
    seed: int = 0,
) -> list[Faithfulness]:
    """Return one entry a method, best first; texts of fewer than two words are left out.

    Args:
        reader: N texts.
        labels: (N,) int64 label whose probability is watched.
        attributions: for each method N arrays of (T,).
        seed: of the random orders and of the bootstrap.
    """
    rows = np.flatnonzero(reader.split.lengths >= _MIN_TOKENS)
    if not len(rows):
        return []
    # Random deletion first: the mean of some orders is the bar for every method.
    random = np.random.default_rng(seed)
    drawn = [
        deletion_curves(reader, labels, rows, [random.permutation(int(reader.split.lengths[row])) for row in rows])
        for _ in range(NUM_RANDOM)
    ]
    by_chance = np.mean(drawn, axis=0)  # (rows, fractions)
    # The same (samples, rows) resamples for every method, so the margins of methods can be compared.
    picks = random.integers(len(rows), size=(_NUM_RESAMPLES, len(rows)))
    found = []
    for method, values in attributions.items():
        # The words that speak most for the label go first.
        orders = [np.argsort(-values[row], kind="stable") for row in rows.tolist()]
        curves = deletion_curves(reader, labels, rows, orders)
        # (rows, fractions) become (rows,): the bootstrap draws texts, not points of the curves.
        margins = (by_chance - curves).mean(axis=1)
        low, high = np.quantile(margins[picks].mean(axis=1), [0.025, 0.975])
        found.append(
            Faithfulness(
                method,
                len(rows),
                float(curves.mean()),
                float(by_chance.mean()),
                float(low),
                float(high),
                tuple(curves.mean(axis=0).tolist()),
                tuple(by_chance.mean(axis=0).tolist()),
            )
        )
    return sorted(found, key=lambda entry: -entry.margin)


def deletion_curves(
    reader: TextReader, labels: np.ndarray, rows: np.ndarray, orders: Sequence[np.ndarray]
) -> np.ndarray:
    """Return (rows, fractions) probabilities of the labels when words are taken out in the given orders.

    Args:
        reader: the texts.
        labels: (N,) int64.
        rows: numbers of the texts looked at.
        orders: one array a row of `rows`: numbers of its tokens, the first to go first.
    """
    tokens, lengths = [], [0]
    for row, order in zip(rows.tolist(), orders, strict=True):
        start = int(reader.split.offsets[row])
        for fraction in FRACTIONS:
            # At least one word goes at every fraction; the others keep the order of the text.
            stay = np.sort(order[max(1, round(fraction * len(order))) :])
            tokens.append(stay + start)
            lengths.append(len(stay))
    # (rows * fractions, L): all shortened texts are read in one call.
    logits = reader.logits(Variants(np.concatenate(tokens), np.cumsum(lengths)))
    classifier = reader.classifier
    probabilities = to_probabilities(classifier.combiner.recurrent_alone(logits), classifier.saved_model.task)
    wanted = np.repeat(labels[rows], len(FRACTIONS))
    return np.asarray(probabilities[np.arange(len(wanted)), wanted].reshape(len(rows), len(FRACTIONS)))
