"""Likely label errors: training rows whose label a model that never saw them finds improbable."""

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from textlstm.arrays.near_duplicates import near_duplicates
from textlstm.config import Task
from textlstm.evaluation.scored_rows import Booleans, Floats, Integers
from textlstm.storage.files import atomic_file

NUM_FOLDS = 5

_WORDS = r"\w+|[^\w\s]"  # words and single marks


class LabelErrors(NamedTuple):
    """How plausible each row's label is."""

    quality: NDArray[np.float64]
    """(N,) in [0, 1]: the probability of the given label (multi-label: cleanlab's aggregate); low means suspicious."""
    is_likely: Booleans
    """(N,): among the lowest qualities, in the number that confident learning (Northcutt et al. 2021) finds."""
    suggested: Integers | Booleans
    """(N,) most probable label; multi-label: (N, L) bool, from 0.5 on."""

    @property
    def ranking(self) -> NDArray[np.int64]:
        """(N,) row indices, the most suspicious first."""
        return np.argsort(self.quality, kind="stable")


def find_label_errors(targets: Integers | Booleans, probabilities: Floats, *, task: Task) -> LabelErrors:
    """Rate labels by out-of-fold probabilities, with cleanlab.

    Args:
        targets: (N,) int64 or (N, L) bool, all known to the model.
        probabilities: (N, L) from models that did not train on the row.
        task: single- or multi-label.
    """
    match task:
        case Task.single_label:
            from cleanlab.filter import find_label_issues
            from cleanlab.rank import get_label_quality_scores

            quality = get_label_quality_scores(targets, probabilities, method="self_confidence")
            likely = find_label_issues(targets, probabilities, filter_by="low_self_confidence", n_jobs=1)
            suggested: Integers | Booleans = np.asarray(probabilities.argmax(axis=1), dtype=np.int64)
        case Task.multi_label:
            from cleanlab.multilabel_classification.filter import find_label_issues
            from cleanlab.multilabel_classification.rank import get_label_quality_scores

            # cleanlab takes lists of label ids, not flags.
            lists = [np.flatnonzero(flags).tolist() for flags in targets]
            quality = get_label_quality_scores(lists, probabilities)
            likely = find_label_issues(lists, probabilities, n_jobs=1)
            suggested = np.asarray(probabilities >= 0.5, dtype=np.bool_)
    return LabelErrors(np.asarray(quality, dtype=np.float64), np.asarray(likely, dtype=np.bool_), suggested)


def out_of_fold_probabilities(
    texts: Sequence[str], targets: Integers | Booleans, *, num_labels: int, task: Task, seed: int
) -> NDArray[np.float64]:
    """Return (N, L) probabilities of each row from models that were not trained on it.

    The models are logistic regression and (single-label) complement naive Bayes, averaged, on TF-IDF of word 1-2 grams.
    Labels that a fold's training rows do not hold get probability 0 in that fold.

    Args:
        texts: N texts.
        targets: (N,) int64 or (N, L) bool.
        num_labels: L.
        task: single- or multi-label.
        seed: of the folds.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    probabilities = np.full((len(texts), num_labels), 1 / num_labels)
    # The vectorizer fails when no text has a token; a single mark is one.
    array = np.array([text if text.strip() else "." for text in texts], dtype=object)
    folds = assign_folds(targets, seed=seed)
    # Score each fold by models of the others; a fold that cannot be scored keeps equal probabilities.
    for fold in range(NUM_FOLDS):
        train, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if not len(train) or not len(held_out):
            continue
        min_count = 2 if len(train) > 1000 else 1
        # Words are counted in the training rows of the fold alone, so held-out rows have no part in the features.
        vectorizer = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=min_count, token_pattern=_WORDS)
        features, scored = vectorizer.fit_transform(array[train]), vectorizer.transform(array[held_out])
        fit = _fit_one_label if task is Task.single_label else _fit_yes_no
        probabilities[held_out] = fit(features, targets[train], scored, num_labels=num_labels)
    return probabilities


def assign_folds(targets: Integers | Booleans, *, seed: int) -> NDArray[np.int64]:
    """Return (N,) fold numbers; each class (multi-label: the rows as a whole) is spread evenly over the folds."""
    generator = np.random.Generator(np.random.PCG64(seed))
    order = generator.permutation(len(targets))
    # Sort the shuffled rows by class, and deal them out to the folds in turn.
    if targets.ndim == 1:
        order = order[np.argsort(targets[order], kind="stable")]
    folds = np.empty(len(targets), dtype=np.int64)
    folds[order] = np.arange(len(targets)) % NUM_FOLDS
    return folds


def _fit_one_label(
    features: csr_matrix, targets: Integers | Booleans, scored: csr_matrix, *, num_labels: int
) -> NDArray[np.float64]:
    """Probabilities (n, L) of the rows of `scored` from rows with one label each."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import ComplementNB

    probabilities = np.zeros((scored.shape[0], num_labels))
    # scikit-learn names columns by the labels it saw; those that are missing here keep 0.
    labels = np.unique(targets)
    if len(labels) == 1:
        probabilities[:, labels[0]] = 1.0
        return probabilities
    models = (LogisticRegression(C=3.0, max_iter=200, tol=1e-3), ComplementNB(alpha=0.3))
    for model in models:
        probabilities[:, labels] += model.fit(features, targets).predict_proba(scored) / len(models)
    return probabilities


def _fit_yes_no(
    features: csr_matrix, targets: Integers | Booleans, scored: csr_matrix, *, num_labels: int
) -> NDArray[np.float64]:
    """Probabilities (n, L) of the rows of `scored`, each label for itself."""
    from sklearn.linear_model import LogisticRegression

    probabilities = np.zeros((scored.shape[0], num_labels))
    for label in range(num_labels):
        has_label = targets[:, label]
        # Logistic regression needs both values; a label that is always or never there needs no model.
        if has_label.all() or not has_label.any():
            probabilities[:, label] = float(has_label.mean())
            continue
        model = LogisticRegression(C=3.0, solver="liblinear", max_iter=200).fit(features, has_label)
        probabilities[:, label] = model.predict_proba(scored)[:, 1]
    return probabilities


# Training rows as a table to correct and feed back: the most suspicious first, with a reason and a suggestion.

QUALITY_FILE = "label_errors.csv"


class Reason(NamedTuple):
    """Names of what may be wrong with a row, as they stand in the table."""

    label_error: str = "likely label error"
    conflict: str = "near-same text, other label"
    duplicate: str = "near-duplicate"
    leak: str = "also in the evaluated rows"


REASONS = Reason()


class QualityTable(NamedTuple):
    """The table as CSV bytes, and how many rows have each reason."""

    csv: bytes
    counts: dict[str, int]

    def write(self, path: Path) -> Path:
        """Write the table to `path`, whole or not at all.

        Raises:
            StorageError: the file cannot be written.
        """
        with atomic_file(path) as stream:
            stream.write(self.csv)
        return path


def quality_table(
    texts: Sequence[str],
    targets: Integers | Booleans,
    *,
    ids: Sequence[str],
    labels: tuple[str, ...],
    task: Task,
    seed: int,
    evaluated_texts: Sequence[str] = (),
    text_column: str = "text",
    label_column: str = "label",
) -> QualityTable:
    """Rate every training row.

    Args:
        texts: N training texts.
        targets: (N,) int64 or (N, L) bool.
        ids: N row ids.
        labels: L names.
        task: single- or multi-label.
        seed: of the folds behind the out-of-fold probabilities.
        evaluated_texts: test texts, to find training rows that occur among them.
        text_column: name of the text column, so that the file can be trained on with the same settings.
        label_column: name of the label column; multi-label cells are JSON lists.
    """
    # Rate the labels, and find rows that are nearly the same as others.
    probabilities = out_of_fold_probabilities(texts, targets, num_labels=len(labels), task=task, seed=seed)
    errors = find_label_errors(targets, probabilities, task=task)
    related = _related_rows(list(texts), list(evaluated_texts), targets)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["id", text_column, label_column, "suggested_label", "label_quality", "reason", "related_id"])
    counts: Counter[str] = Counter()
    # Write every row, the most suspicious first, with all reasons that hold for it.
    for row in errors.ranking:
        reasons, other = list(related[row].reasons), related[row].other
        if errors.is_likely[row]:
            reasons.insert(0, REASONS.label_error)
        counts.update(reasons)
        given, suggested = _cell(targets[row], labels), _cell(errors.suggested[row], labels)
        quality = f"{errors.quality[row]:.4f}"
        related_id = "" if other is None else ids[other]
        writer.writerow([ids[row], texts[row], given, suggested, quality, "; ".join(reasons), related_id])
    return QualityTable(buffer.getvalue().encode("utf-8", "surrogatepass"), dict(counts))


class _Related(NamedTuple):
    """Why a row is like another, and which training row that is."""

    reasons: list[str]
    other: int | None


def _related_rows(texts: list[str], evaluated: list[str], targets: Integers | Booleans) -> list[_Related]:
    """What each training row has in common with other rows."""
    related = [_Related([], None) for _ in texts]
    # Evaluated texts stand first, so that a training row like one of them is joined to it.
    for pair in near_duplicates(evaluated + texts):
        first, second = pair.first - len(evaluated), pair.second - len(evaluated)
        # Pairs of two evaluated rows say nothing about training rows.
        if second < 0:
            continue
        # An evaluated row and a training row: the training row leaks.
        if first < 0:
            _relate(related, second, REASONS.leak, None)
        # Two training rows: the later one repeats the earlier, or their labels contradict each other.
        elif np.array_equal(targets[first], targets[second]):
            _relate(related, second, REASONS.duplicate, first)
        else:
            _relate(related, second, REASONS.conflict, first)
            _relate(related, first, REASONS.conflict, second)
    return related


def _relate(related: list[_Related], row: int, reason: str, other: int | None) -> None:
    """Note a reason once, with the first row that gave one."""
    reasons, known = related[row]
    related[row] = _Related(reasons if reason in reasons else [*reasons, reason], other if known is None else known)


def _cell(target: np.integer | Booleans, labels: tuple[str, ...]) -> str:
    if np.ndim(target) == 0:
        return labels[int(target)]
    return json.dumps([label for label, has_label in zip(labels, np.atleast_1d(target), strict=True) if has_label])
