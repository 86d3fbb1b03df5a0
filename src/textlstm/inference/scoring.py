"""Labelled rows scored for an evaluation: as they are, and with the words that preparation took out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from textlstm.arrays.ragged import SplitWords
from textlstm.config import Task
from textlstm.corpus.prepared import PreparedSplit
from textlstm.evaluation.scored_rows import Booleans, Floats, Integers, ScoredRows, decide
from textlstm.inference.classifier import TextClassifier
from textlstm.inference.prediction import Scores
from textlstm.models.calibration.temperature import to_probabilities
from textlstm.models.linear.expert import LinearExpert
from textlstm.text.fingerprint import inference_text
from textlstm.text.pipeline import TextPipeline
from textlstm.text.tagger.pos import POS_TAGS
from textlstm.text.tokenized import TokenizedTexts

BLOCK_ROWS = 50_000
"""Rows that are scored at a time; the networks read these in batches of rows of similar length."""

# Words that preparation took out of a text, and the decision with these words left in.


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


def score_unfiltered(
    classifier: TextClassifier, texts: Sequence[str], filtered: TokenizedTexts, *, as_predicted: bool = False
) -> Unfiltered | None:
    """Prepare and score those of the N `texts` that lost words once more, with all their words.

    The model never saw the words of its stop list in training, so they reach the network as unknown words.

    Args:
        classifier: the model.
        texts: the texts as they were given.
        filtered: their words after the filters.
        as_predicted: give what `predict` gives, and not what the whole model does.

    Returns:
        The removed words and the probabilities with them; None where no text lost a word.
    """
    rows: list[int] = np.flatnonzero(filtered.num_removed).tolist()
    if not rows:
        return None
    chosen = [texts[row] for row in rows]
    prepared = unfiltered_pipeline(classifier).prepare(chosen)
    words = [missing_words(filtered.text_tokens(row), prepared.text_tokens(place)) for place, row in enumerate(rows)]
    scores = classifier.score_prepared(prepared, chosen)
    return Unfiltered(rows, words, classifier.probabilities_in_use(scores) if as_predicted else scores.probabilities)


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


def score_split(classifier: TextClassifier, split: PreparedSplit) -> ScoredRows:
    """Return the rows of `split` scored as `predict` does, by every part of the model, and by the saved baseline."""
    baseline = baseline_of(classifier)
    blocks = [_score_block(classifier, block, baseline) for block in split.blocks(num_rows=BLOCK_ROWS)]
    if len(blocks) < 2:
        return blocks[0] if blocks else _score_block(classifier, split, baseline)
    # The arrays of all blocks, one after another; texts and ids stay in the file of the split.
    columns: dict[str, Any] = {
        field.name: np.concatenate([getattr(block, field.name) for block in blocks])
        for field in fields(ScoredRows)
        if isinstance(getattr(blocks[0], field.name), np.ndarray) and field.name != "label_thresholds"
    }
    return replace(blocks[0], ids=split.lazy_strings("id"), texts=split.lazy_strings("text"), **columns)


def _score_block(classifier: TextClassifier, split: PreparedSplit, baseline: LinearExpert | None) -> ScoredRows:
    saved_model, texts = classifier.saved_model, split.texts()
    # Expert and baseline read the same words.
    words = SplitWords.of(texts, goes_on=True)
    prepared = replace(split.tokenized(), words=words)
    scores = classifier.score_prepared(prepared, texts)
    found = split.targets(saved_model.labels, saved_model.task)
    # Multi-label targets and thresholds are (N, L) and (L,); one label a row is (N,), without thresholds.
    targets: Integers | Booleans
    targets = found.astype(np.bool_) if saved_model.task is Task.multi_label else found.astype(np.int64)
    thresholds = np.asarray(saved_model.thresholds.per_class) if saved_model.task is Task.multi_label else None
    # Without an expert the recurrent branch is the model itself and gets no probabilities of its own.
    expert, combiner = scores.expert_logits, classifier.combiner
    recurrent = combiner.recurrent_alone(scores.recurrent_logits)
    return ScoredRows(
        labels=saved_model.labels,
        task=saved_model.task,
        ids=split.lazy_strings("id"),
        texts=split.lazy_strings("text"),
        targets=targets,
        probabilities=classifier.probabilities_in_use(scores),
        recurrent_probabilities=None if expert is None else to_probabilities(recurrent, saved_model.task),
        expert_probabilities=None
        if expert is None
        else to_probabilities(combiner.expert_alone(expert), saved_model.task),
        uncalibrated_probabilities=uncalibrated(scores, saved_model.task),
        baseline_predictions=None
        if baseline is None
        else baseline_predictions(baseline, texts, words, saved_model.task),
        baseline_features="" if baseline is None else baseline.description,
        majority_label=int(np.argmax(saved_model.label_shares)) if saved_model.label_shares else None,
        label_thresholds=thresholds,
        num_tokens=scores.num_tokens,
        num_removed=prepared.num_removed,
        unknown_share=scores.unknown_share,
        pos_share=None if prepared.pos is None else _pos_share(prepared.pos, prepared.offsets),
        seen_in_training=saved_model.seen_in_training(texts),
        pos_tags=POS_TAGS if prepared.pos is not None else (),
    )


def with_filters_undone(rows: ScoredRows, classifier: TextClassifier, split: PreparedSplit) -> ScoredRows:
    """Return `rows` with the words that stop list and filters removed, and the model's predictions with all of them.

    Rows that lost no word keep their prediction. Costs a second preparation and a second look at the others.
    """
    predictions = rows.predictions().copy()
    removed: list[list[str]] = []
    has_lost_words = False
    for block in split.blocks(num_rows=BLOCK_ROWS):
        start = len(removed)
        removed += [[] for _ in range(len(block))]
        # Only rows that lost words are scored again; the others keep their prediction.
        unfiltered = score_unfiltered(classifier, block.texts(), block.tokenized(), as_predicted=True)
        if unfiltered is None:
            continue
        has_lost_words = True
        decided = decide(unfiltered.probabilities, rows.task, rows.label_thresholds)
        predictions[start + np.array(unfiltered.rows)] = decided
        for row, words in zip(unfiltered.rows, unfiltered.words, strict=True):
            removed[start + row] = list(words)
    if not has_lost_words:
        return rows
    return replace(rows, removed_words=removed, unfiltered_predictions=predictions)


def uncalibrated(scores: Scores, task: Task) -> Floats:
    """Return (N, L) uncalibrated probabilities: the plain mean of both branches."""
    recurrent: Floats = to_probabilities(scores.recurrent_logits, task)
    if scores.expert_logits is None:
        return recurrent
    mean: Floats = np.mean([recurrent, to_probabilities(scores.expert_logits, task)], axis=0, dtype=np.float32)
    return mean


def baseline_of(classifier: TextClassifier) -> LinearExpert | None:
    """Return TF-IDF + LinearSVC as fitted on the model's own training rows; None where the model was saved without."""
    arrays = classifier.saved_model.arrays("baseline.")
    return LinearExpert.from_arrays(arrays) if arrays else None


def baseline_predictions(
    baseline: LinearExpert, texts: list[str], words: SplitWords, task: Task
) -> Integers | Booleans:
    """Return the baseline's predictions for N texts, which have these `words`: (N,) ids or (N, L) bool."""
    logits: Floats = baseline.logits(texts, words)
    return np.greater_equal(logits, 0.0) if task is Task.multi_label else decide(logits, task)


def _pos_share(pos: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return (N, P) float32: the part of each text's tokens that has each part of speech."""
    num_texts = len(offsets) - 1
    rows = np.repeat(np.arange(num_texts), np.diff(offsets))
    counts = np.zeros((num_texts, len(POS_TAGS)), dtype=np.float32)
    # (M,) tags to (N, P) counts; `np.add.at` counts a pair as often as it occurs, which `+=` would not.
    np.add.at(counts, (rows, pos), 1.0)
    return np.asarray(counts / np.maximum(np.diff(offsets), 1)[:, None], dtype=np.float32)
