"""Explanations of single texts: this is where the rest of the library asks for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from textlstm.explain.attribution import (
    MaxPoolWins,
    Method,
    ReadOut,
    attribute,
    count_max_pool_wins,
    in_token_order,
    pick_labels,
    read_out,
    step_tokens,
    token_vectors,
    unit_effects,
)
from textlstm.explain.combined import Combined, combined_contributions
from textlstm.explain.expert import Branches, weigh_branches
from textlstm.explain.gates import TOLERANCE, Direction, EncoderTrace, GateName, surviving_share, trace_encoder
from textlstm.explain.reader import TextReader, make_variants
from textlstm.inference.classifier import TextClassifier
from textlstm.inference.prediction import Prediction, Scores
from textlstm.inference.scoring import Filtered, undo_filters
from textlstm.models.calibration.temperature import to_probabilities
from textlstm.models.network.precision import tf32_set_to
from textlstm.text.tagger.pos import POS_TAGS

# The decision as the words come in: the recurrent branch on ever longer beginnings and ends of a text.

MOST_POINTS = 32
"""Longer texts are cut at this many places, evenly spread."""


class IncrementalPrediction(NamedTuple):
    """The probabilities of the recurrent branch if the text ended, or began, at some of its words."""

    places: np.ndarray
    """(K,) int64 numbers of words read, ascending; the last is the whole text."""
    forwards: np.ndarray
    """(K, L) float32 calibrated probabilities after the first `places` words."""
    backwards: np.ndarray
    """(K, L) the same for the last `places` words."""


def incremental_predictions(reader: TextReader) -> list[IncrementalPrediction]:
    """Return the running probabilities of every text of `reader`; each point is a full reading of that part."""
    classifier = reader.classifier

    def pieces(length: int) -> list[np.ndarray]:
        places = places_of(length).tolist()
        return [np.arange(place) for place in places] + [np.arange(length - place, length) for place in places]

    # All beginnings of a text come first, then all its ends: 2 K variants a text.
    variants = make_variants(reader, pieces)
    logits = classifier.combiner.recurrent_alone(reader.logits(variants))
    probabilities = to_probabilities(logits, classifier.saved_model.task)
    found, begin = [], 0
    for length in reader.split.lengths.tolist():
        places = places_of(length)
        middle, end = begin + len(places), begin + 2 * len(places)
        found.append(IncrementalPrediction(places, probabilities[begin:middle], probabilities[middle:end]))
        begin = end
    return found


def places_of(length: int) -> np.ndarray:
    """Return where a text of `length` words is cut: after every word, or at MOST_POINTS places.

    >>> places_of(3).tolist(), places_of(0).tolist()
    ([1, 2, 3], [])
    """
    if length <= MOST_POINTS:
        return np.arange(1, length + 1)
    return np.unique(np.linspace(1, length, MOST_POINTS).round().astype(np.int64))


@dataclass(frozen=True, slots=True)
class CellView:
    """One direction of one layer over one text of S steps, in the order of the text."""

    layer: int
    direction: Direction
    gates: Mapping[GateName, np.ndarray]
    """(S, H) float32 each, in (0, 1)."""
    cell: np.ndarray | None
    """(S, H) float32 cell states of an LSTM."""
    hidden: np.ndarray
    """(S, H) float32 recomputed states."""
    survival: np.ndarray | None
    """(S,) float32: each step's part of what words left in the memory at the end, summing to 1; None: plain RNN."""
    error: float
    """Largest distance of `hidden` from the encoder's own states."""

    @property
    def keep_gate(self) -> np.ndarray | None:
        """(S, H) share of the memory that passes each step; None for a plain RNN."""
        return self.gates.get(GateName.forget, self.gates.get(GateName.update))


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one text of T tokens got its label."""

    text: str
    prediction: Prediction
    label: str
    """The explained label: the most probable one."""
    probability: float
    """Calibrated probability of that label, by the whole model."""
    tokens: tuple[str, ...]
    """The T tokens that the network reads."""
    pos: tuple[str, ...]
    """Their parts of speech; empty without tagger."""
    num_cut: int
    """Tokens in the middle of a long text that the network does not read."""
    step_tokens: int
    """Tokens of one step of the encoder, 1 unless a pooling convolution comes first; S = ceil(T / step_tokens)."""
    cells: tuple[CellView, ...]
    attributions: Mapping[Method, np.ndarray]
    """(T,) float32 a method, in log-odds of `label`: by the whole model (combined), or by the recurrent branch."""
    combined: Combined
    """The log-odds of the whole model as a sum over words."""
    wins: MaxPoolWins | None
    """Which step won which unit; None without max pooling."""
    unit_effects: np.ndarray
    """(D, H) float32: what the pooled features of each unit of the last layer put into the log-odds."""
    running: IncrementalPrediction
    branches: Branches
    filtered: Filtered | None

    @property
    def is_exact(self) -> bool:
        """Whether all recomputed states are the encoder's own, to 1e-5."""
        return all(cell.error <= TOLERANCE for cell in self.cells)

    @property
    def steps(self) -> tuple[str, ...]:
        """The S steps of the encoder as words."""
        width = self.step_tokens
        return tuple(" ".join(self.tokens[i : i + width]) for i in range(0, len(self.tokens), width))


class Inside(NamedTuple):
    """What tracing found in one text."""

    cells: tuple[CellView, ...]
    wins: MaxPoolWins | None
    unit_effects: np.ndarray


@tf32_set_to(False)
def explain_texts(classifier: TextClassifier, texts: Sequence[str]) -> list[Explanation]:
    """Return one explanation a text, in order.

    Of a model with several networks, gates, decomposition and gradients are the first network's.

    Example:
        [explanation] = explain_texts(classifier, ["Shares fell again after the bank's warning."])
        explanation.label, explanation.attributions["leave_one_out"]
    """
    if not texts:
        return []
    # The tags are shown beside the words, so texts are tagged even for a model that does not read them.
    prepared = classifier.tagging_pipeline.prepare(texts)
    # Read the texts once as the network does, and choose the label to explain.
    reader = TextReader(classifier, prepared)
    scores = classifier.score_prepared(prepared, texts)
    labels = explained_labels(scores)
    # Explain that label from every side; each of these keeps the order of the texts.
    attributions = attribute(reader, labels)
    combined = combined_contributions(reader, texts, scores, labels)
    inside = look_inside(reader, labels)
    running = incremental_predictions(reader)
    branches = weigh_branches(classifier, texts, scores, labels)
    filtered = undo_filters(classifier, texts, prepared)
    # What is explained is the whole model, also for texts that the linear expert would decide alone.
    threshold = classifier.saved_model.thresholds.abstain_below
    predictions = classifier.decide(texts, scores.probabilities, abstain_below=threshold)
    found = []
    for row, text in enumerate(texts):
        # The tags of all texts stand one after another, as their tokens do.
        start, end = reader.split.offsets[row], reader.split.offsets[row + 1]
        tags = () if reader.pos is None else tuple(POS_TAGS[tag] for tag in reader.pos[start:end])
        found.append(
            Explanation(
                text=text,
                prediction=predictions[row],
                label=classifier.labels[labels[row]],
                probability=float(scores.probabilities[row, labels[row]]),
                tokens=tuple(reader.text_tokens(row)),
                pos=tags,
                num_cut=int(np.diff(prepared.offsets)[row] - (end - start)),
                step_tokens=step_tokens(reader.network),
                cells=inside[row].cells,
                attributions={
                    Method.combined: combined[row].words,
                    **{method: values[row] for method, values in attributions.items()},
                },
                combined=combined[row],
                wins=inside[row].wins,
                unit_effects=inside[row].unit_effects,
                running=running[row],
                branches=branches[row],
                filtered=filtered[row],
            )
        )
    return found


def explained_labels(scores: Scores) -> np.ndarray:
    """Return (N,) int64: the most probable label of each text."""
    return np.asarray(scores.probabilities.argmax(axis=1), dtype=np.int64)


def look_inside(reader: TextReader, labels: np.ndarray) -> list[Inside]:
    """Return the gate traces of every text of `reader`, and how its pooling read them for `labels` (N,)."""
    found: dict[int, Inside] = {}
    task = reader.classifier.saved_model.task
    for rows, batch in reader.batches():
        # Batches are sorted by length, so what is found is kept by the number of the text.
        trace = trace_encoder(reader.network.encoder, token_vectors(reader, batch), batch.lengths)
        reading = read_out(reader.network, trace.encoded, pick_labels(labels, rows, batch.lengths), task)
        for row, inside in zip(rows.tolist(), _split(reader, trace, reading), strict=True):
            found[row] = inside
    return [found[row] for row in range(len(labels))]


def _split(reader: TextReader, trace: EncoderTrace, reading: ReadOut) -> list[Inside]:
    """Return the trace of a batch text by text, every step in the order of the text."""
    lengths = trace.encoded.lengths
    views: list[list[CellView]] = [[] for _ in range(len(lengths))]
    for cell in trace.cells:
        # (T, B, H) in reading order become one (S, H) array a text in the order of its words.
        turn = [in_token_order(part, lengths, cell.direction) for part in (*cell.gates.values(), cell.hidden)]
        left = surviving_share(cell, lengths)
        shares = None if left is None else in_token_order(left, lengths, cell.direction)
        memory = None if cell.cell is None else in_token_order(cell.cell, lengths, cell.direction)
        for text, view in enumerate(views):
            view.append(
                CellView(
                    cell.layer,
                    cell.direction,
                    {name: turn[k][text] for k, name in enumerate(cell.gates)},
                    None if memory is None else memory[text],
                    turn[-1][text],
                    None if shares is None else shares[text],
                    float(cell.error[text]),
                )
            )
    wins = count_max_pool_wins(reader.network, trace, reading)
    effects = unit_effects(trace, reading)
    return [Inside(tuple(view), None if wins is None else wins[text], effects[text]) for text, view in enumerate(views)]
