"""The rows an evaluation looks at: what is true, what each model said, and what is known about the text."""

from collections.abc import Sequence, Sized
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from textlstm.config import Task
from textlstm.errors import InputError

UNKNOWN_TARGET = -1
"""Target of a row whose label the model was never shown: it counts as wrong, whatever is predicted."""

UNKNOWN_LABEL = "(label unknown to the model)"
"""Name under which such rows stand in tables."""

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRows:
    """N rows with L labels, scored by the model and by what it is compared with."""

    labels: tuple[str, ...]
    task: Task
    ids: Sequence[str]
    texts: Sequence[str]
    targets: Integers | Booleans
    """(N,) int64 label ids, -1 where the model does not know the label; multi-label: (N, L) bool."""
    probabilities: Floats
    """(N, L): each row sums to 1; multi-label: each label in [0, 1] for itself."""
    recurrent_probabilities: Floats | None = None
    """(N, L) of the recurrent branch alone."""
    expert_probabilities: Floats | None = None
    """(N, L) of the linear expert alone; absent when the model has none."""
    baseline_predictions: Integers | Booleans | None = None
    """(N,) label ids of the TF-IDF baseline; multi-label: (N, L) bool."""
    baseline_features: str = ""
    """What the TF-IDF baseline counts, such as "words 1-2"."""
    champion_probabilities: Floats | None = None
    """(N, L) of the registered champion on the same rows."""
    uncalibrated_probabilities: Floats | None = None
    """(N, L) before the temperature was applied."""
    majority_label: int | None = None
    """The most frequent label of the training rows; absent: that of these rows."""
    label_thresholds: Floats | None = None
    """(L,) multi-label: a label is predicted from this probability on; absent: 0.5."""
    num_tokens: Integers | None = None
    """(N,) tokens the network read."""
    num_removed: Integers | None = None
    """(N,) tokens that stop-word and POS filters took away."""
    unknown_share: Floats | None = None
    """(N,) part of the tokens that are not in the vocabulary, in [0, 1]."""
    pos_share: Floats | None = None
    """(N, P) part of the tokens with each part of speech."""
    pos_tags: tuple[str, ...] = ()
    """Names of the P columns of `pos_share`."""
    removed_words: list[list[str]] | None = None
    """N lists of the words that stop-word and POS filters took away."""
    unfiltered_predictions: Integers | Booleans | None = None
    """(N,) label ids, or (N, L) bool, of the same model on texts from which nothing was removed."""
    seen_in_training: Booleans | None = None
    """(N,) whether the model learned from the text; absent where that is not known."""
    near_training: Booleans | None = None
    """(N,) whether the text is almost equal to a training row; absent where that is not known."""
    columns: dict[str, list[str]] = field(default_factory=dict)
    """Other columns of the input, N values each, to cut slices by."""

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit together, and no rows at all.

        Raises:
            InputError: there is nothing to evaluate.
            ValueError: arrays of other lengths (a defect of the caller).
        """
        # No rows is the user's mistake; arrays of other lengths are the caller's.
        if not self.ids:
            raise InputError("no labelled rows to evaluate: the evaluated file or split is empty. Set data.test.")
        for name, values in self._arrays().items():
            if len(values) != len(self.ids):
                raise ValueError(f"{name} holds {len(values)} rows, ids holds {len(self.ids)}")
        if self.probabilities.shape != (len(self.ids), len(self.labels)):
            raise ValueError(f"probabilities are {self.probabilities.shape}, not ({len(self.ids)}, {len(self.labels)})")

    def _arrays(self) -> dict[str, Sized]:
        arrays: dict[str, Sized | None] = {
            "texts": self.texts,
            "targets": self.targets,
            "probabilities": self.probabilities,
            "recurrent_probabilities": self.recurrent_probabilities,
            "expert_probabilities": self.expert_probabilities,
            "baseline_predictions": self.baseline_predictions,
            "champion_probabilities": self.champion_probabilities,
            "uncalibrated_probabilities": self.uncalibrated_probabilities,
            "num_tokens": self.num_tokens,
            "num_removed": self.num_removed,
            "unknown_share": self.unknown_share,
            "pos_share": self.pos_share,
            "removed_words": self.removed_words,
            "unfiltered_predictions": self.unfiltered_predictions,
            "seen_in_training": self.seen_in_training,
            "near_training": self.near_training,
            **{f"column {name!r}": values for name, values in self.columns.items()},
        }
        return {name: values for name, values in arrays.items() if values is not None}

    @property
    def num_rows(self) -> int:
        """N."""
        return len(self.ids)

    @property
    def is_multi_label(self) -> bool:
        """Whether a row may have any number of labels."""
        return self.task is Task.multi_label

    def label_names(self, row: int) -> tuple[str, ...]:
        """Return what is true of a row: one label, several, or none; of an unknown label its placeholder."""
        target = self.targets[row]
        if np.ndim(target):
            return tuple(self.labels[label] for label in np.flatnonzero(target))
        return (UNKNOWN_LABEL if int(target) == UNKNOWN_TARGET else self.labels[int(target)],)

    def predictions(self, probabilities: Floats | None = None) -> Integers | Booleans:
        """Return the decisions of `probabilities` (default: the model's): (N,) int64, or (N, L) bool."""
        return decide(self.probabilities if probabilities is None else probabilities, self.task, self.label_thresholds)


def decide(probabilities: Floats, task: Task, label_thresholds: Floats | None = None) -> Integers | Booleans:
    """Return what is predicted: the most probable label, or every label at or above its threshold.

    Args:
        probabilities: (N, L).
        task: single- or multi-label.
        label_thresholds: (L,) for multi-label; absent means 0.5.

    Returns:
        (N,) int64 (ties go to the first label), or (N, L) bool.
    """
    if task is Task.multi_label:
        return np.asarray(probabilities >= (0.5 if label_thresholds is None else label_thresholds), dtype=np.bool_)
    return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)


def correct_rows(targets: Integers | Booleans, predictions: Integers | Booleans) -> Booleans:
    """Return (N,) bool: the label is right; multi-label: every label of the row is right."""
    equal = np.asarray(targets == predictions, dtype=np.bool_)
    return equal if equal.ndim == 1 else np.asarray(equal.all(axis=1), dtype=np.bool_)
