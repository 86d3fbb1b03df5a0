"""The rows that a model learns from: labelled ones with their targets, and unlabelled ones with a teacher's answers."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from textlstm.corpus.prepared import PreparedCorpus, PreparedSplit
from textlstm.errors import InputError
from textlstm.teaching.answers import Answers


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Training and validation rows with their targets, (N,) int64 or (N, L) float32.

    Where labels are not sure, the targets are the most probable ones: folds, samples and figures go by them, while
    networks, expert and calibration learn from the probabilities.
    """

    train: PreparedSplit
    train_targets: np.ndarray
    validation: PreparedSplit
    validation_targets: np.ndarray
    train_probabilities: np.ndarray | None = None
    """(N, L) float32 chance of each label; None where the labels of all training and validation rows are sure."""
    validation_probabilities: np.ndarray | None = None
    taught_targets: np.ndarray | None = None
    """(N, L) float32 targets of the training rows that a teacher has a part in: networks learn from these; None without
    a teacher."""
    unlabelled: PreparedSplit | None = None
    """K further rows that networks learn from; None without any."""
    unlabelled_targets: np.ndarray | None = None
    """(K, L) float32 answers of the teacher."""

    @property
    def learned_targets(self) -> np.ndarray:
        """Targets of training rows that networks learn from: probabilities where labels are not sure."""
        if self.taught_targets is not None:
            return self.taught_targets
        return self.train_targets if self.train_probabilities is None else self.train_probabilities

    def learned(self) -> tuple[PreparedSplit, np.ndarray]:
        """Return the rows that networks learn from, training rows first, and their targets."""
        if self.unlabelled is None or self.unlabelled_targets is None:
            return self.train, self.learned_targets
        unlabelled = self.unlabelled.table
        if (weights := self.train.table.column("weight")).null_count == 0 and len(weights):
            # Beside weighted rows, a row without a label weighs as much as the mean of them.
            mean = pa.array(np.full(len(unlabelled), pc.mean(weights).as_py()))
            unlabelled = unlabelled.set_column(unlabelled.schema.get_field_index("weight"), "weight", mean)
        both = pa.concat_tables([self.train.table, unlabelled])
        split = PreparedSplit(both, digest="", files=self.train.files + self.unlabelled.files)
        return split, np.concatenate([self.learned_targets, self.unlabelled_targets])

    def without_unlabelled(self) -> "LabelledRows":
        """Return the same without unlabelled rows."""
        return replace(self, unlabelled=None, unlabelled_targets=None)

    @property
    def calibrated_targets(self) -> np.ndarray:
        """Targets of validation rows that the calibration learns from: probabilities where labels are not sure."""
        return self.validation_targets if self.validation_probabilities is None else self.validation_probabilities

    def select_train(self, rows: np.ndarray) -> "LabelledRows":
        """Return the same with these (K,) training rows alone, in their order."""
        chances = self.train_probabilities
        return replace(
            self,
            train=self.train.select(rows),
            train_targets=self.train_targets[rows],
            train_probabilities=None if chances is None else chances[rows],
            taught_targets=None if self.taught_targets is None else self.taught_targets[rows],
        )

    def select_validation(self, rows: np.ndarray) -> "LabelledRows":
        """Return the same with these (K,) validation rows alone, in their order."""
        chances = self.validation_probabilities
        return replace(
            self,
            validation=self.validation.select(rows),
            validation_targets=self.validation_targets[rows],
            validation_probabilities=None if chances is None else chances[rows],
        )

    def joined(self) -> "LabelledRows":
        """Return all labelled rows as training rows, and none for validation."""
        both = pa.concat_tables([self.train.table, self.validation.table])
        chances = None
        if self.train_probabilities is not None and self.validation_probabilities is not None:
            chances = np.concatenate([self.train_probabilities, self.validation_probabilities])
        taught = self.taught_targets
        if taught is not None:
            # No teacher has answered for validation rows, so that they can judge: their labels are learned.
            taught = np.concatenate([taught, _as_probabilities(self.calibrated_targets, taught.shape[1])])
        return replace(
            self,
            train=PreparedSplit(both, digest="", files=self.train.files + self.validation.files),
            train_targets=np.concatenate([self.train_targets, self.validation_targets]),
            validation=PreparedSplit(self.validation.table.slice(0, 0), digest=""),
            validation_targets=self.validation_targets[:0],
            train_probabilities=chances,
            validation_probabilities=None,
            taught_targets=taught,
        )


def labelled_rows(
    corpus: PreparedCorpus, answers: Answers | None = None, *, teacher_share: float = 0.0
) -> LabelledRows:
    """Return the rows to fit on; a validation row whose only label training lacks teaches nothing and is left out.

    With `answers` of a teacher, `teacher_share` of the target of a training row is the teacher's.

    Raises:
        InputError: the corpus has no training or no validation rows.
    """
    train, validation = corpus.train, corpus.validation
    if not train or not validation:
        raise InputError("training needs rows in train and in validation; set data.train or data.validation_fraction")
    targets = validation.targets(corpus.labels, corpus.task)
    if targets.ndim == 1 and targets.min() < 0:
        known = np.flatnonzero(targets >= 0)
        validation, targets = validation.select(known), targets[known]
    rows = LabelledRows(train, train.targets(corpus.labels, corpus.task), validation, targets)
    rows = _with_probabilities(rows, corpus)
    if answers is None:
        return rows
    return with_answers(rows, answers, teacher_share=teacher_share)


def with_answers(rows: LabelledRows, answers: Answers, *, teacher_share: float) -> LabelledRows:
    """Return `rows` with the answers of a teacher; of the target of a training row, `teacher_share` is the teacher's.

    Example: a share of 0.5 makes [1, 0] of the label 0 and the answer [0.6, 0.4] the target [0.8, 0.2].
    """
    if answers.train is None:
        return replace(rows, unlabelled=answers.unlabelled)
    own = _as_probabilities(rows.learned_targets, answers.train.shape[1])
    taught = ((1 - teacher_share) * own + teacher_share * answers.train).astype(np.float32)
    return replace(
        rows,
        taught_targets=taught,
        unlabelled=answers.unlabelled,
        unlabelled_targets=answers.unlabelled_probabilities,
    )


def _with_probabilities(rows: LabelledRows, corpus: PreparedCorpus) -> LabelledRows:
    # Probabilities of one split are enough: the labels of the other are then certain ones.
    chances = [split.probabilities(corpus.labels, corpus.task) for split in (rows.train, rows.validation)]
    if chances[0] is None and chances[1] is None:
        return rows
    sure = [_as_probabilities(wanted, len(corpus.labels)) for wanted in (rows.train_targets, rows.validation_targets)]
    of_train, of_validation = (known if found is None else found for found, known in zip(chances, sure, strict=True))
    return replace(rows, train_probabilities=of_train, validation_probabilities=of_validation)


def _as_probabilities(targets: np.ndarray, num_labels: int) -> np.ndarray:
    """Return (N, L) float32 of 0 and 1 for (N,) label ids; (N, L) targets are that already."""
    return targets if targets.ndim == 2 else np.eye(num_labels, dtype=np.float32)[targets]
