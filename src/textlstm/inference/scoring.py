"""Labelled rows scored by a classifier, for an evaluation."""

from dataclasses import replace

import numpy as np

from textlstm.config import Task
from textlstm.corpus.prepared import PreparedSplit
from textlstm.evaluation.scored_rows import Booleans, Floats, Integers, ScoredRows, decide
from textlstm.inference.classifier import Scores, TextClassifier
from textlstm.inference.unfiltered import score_unfiltered
from textlstm.models.calibration.temperature import to_probabilities
from textlstm.models.linear.expert import LinearExpert
from textlstm.text.tagger.pos import POS_TAGS


def score_split(classifier: TextClassifier, split: PreparedSplit) -> ScoredRows:
    """Return the rows of `split` scored by every part of the model and by the baseline saved beside it."""
    saved_model, texts, prepared = classifier.saved_model, split.texts(), split.tokenized()
    scores = classifier.score_prepared(prepared, texts)
    found = split.targets(saved_model.labels, saved_model.task)
    # Multi-label targets and thresholds are (N, L) and (L,); one label a row is (N,), without thresholds.
    targets: Integers | Booleans
    targets = found.astype(np.bool_) if saved_model.task is Task.multi_label else found.astype(np.int64)
    thresholds = np.asarray(saved_model.thresholds.per_class) if saved_model.task is Task.multi_label else None
    # Without an expert the recurrent branch is the model itself and gets no probabilities of its own.
    expert, combiner = scores.expert_logits, classifier.combiner
    recurrent = combiner.recurrent_alone(scores.recurrent_logits)
    baseline = baseline_of(classifier)
    return ScoredRows(
        labels=saved_model.labels,
        task=saved_model.task,
        ids=split.ids(),
        texts=texts,
        targets=targets,
        probabilities=scores.probabilities,
        recurrent_probabilities=None if expert is None else to_probabilities(recurrent, saved_model.task),
        expert_probabilities=None
        if expert is None
        else to_probabilities(combiner.expert_alone(expert), saved_model.task),
        uncalibrated_probabilities=uncalibrated(scores, saved_model.task),
        baseline_predictions=None if baseline is None else baseline_predictions(baseline, texts, saved_model.task),
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
    # Only rows that lost words are scored again; the others keep their prediction.
    unfiltered = score_unfiltered(classifier, rows.texts, split.tokenized())
    if unfiltered is None:
        return rows
    predictions = rows.predictions().copy()
    predictions[unfiltered.rows] = decide(unfiltered.probabilities, rows.task, rows.label_thresholds)
    removed: list[list[str]] = [[] for _ in rows.ids]
    for row, words in zip(unfiltered.rows, unfiltered.words, strict=True):
        removed[row] = list(words)
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


def baseline_predictions(baseline: LinearExpert, texts: list[str], task: Task) -> Integers | Booleans:
    """Return the baseline's predictions: (N,) ids or (N, L) bool."""
    logits: Floats = baseline.logits(texts)
    return np.greater_equal(logits, 0.0) if task is Task.multi_label else decide(logits, task)


def _pos_share(pos: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return (N, P) float32: the part of each text's tokens that has each part of speech."""
    num_texts = len(offsets) - 1
    rows = np.repeat(np.arange(num_texts), np.diff(offsets))
    counts = np.zeros((num_texts, len(POS_TAGS)), dtype=np.float32)
    # (M,) tags to (N, P) counts; `np.add.at` counts a pair as often as it occurs, which `+=` would not.
    np.add.at(counts, (rows, pos), 1.0)
    return np.asarray(counts / np.maximum(np.diff(offsets), 1)[:, None], dtype=np.float32)
