"""All linear models of a training: the expert on training rows, then the expert and the baseline on all rows.

`python -m textlstm.models.linear.fits DESCRIPTOR` fits them in a process of its own, for `BackgroundCall`.
"""

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from textlstm.arrays.ragged import SplitWords
from textlstm.arrays.strings import pack_strings, unpack_strings
from textlstm.config import ModelConfig, Task
from textlstm.config.checks import from_plain
from textlstm.models.linear.expert import LinearExpert
from textlstm.models.linear.mean_vectors import PieceVectors
from textlstm.processes.call import Message, answer


@dataclass(frozen=True, slots=True)
class LinearModels:
    """What the fits give to the model."""

    validation_logits: np.ndarray | None
    """(N, L) float32 of validation rows, by an expert that has not seen them; None where these were not wanted."""
    arrays: dict[str, np.ndarray]
    """Of the expert and the baseline, both fitted on all rows, as the saved model names them."""
    cross_logits: np.ndarray | None = None
    """(N, L) float32 of all rows, training rows first, each by an expert that has not seen it; None without folds."""

    def to_message(self) -> Message:
        """Return the models for another process."""
        logits = {"validation_logits": self.validation_logits, "cross_logits": self.cross_logits}
        return Message({}, self.arrays | {name: values for name, values in logits.items() if values is not None})

    @classmethod
    def from_message(cls, message: Message) -> "LinearModels":
        """Return the models that `to_message` wrote."""
        arrays = dict(message.arrays)
        validation, cross = (arrays.pop(name, None) for name in ("validation_logits", "cross_logits"))
        return cls(validation, arrays, cross)


@dataclass(frozen=True, slots=True)
class LinearFits:
    """What is fitted, and on what."""

    train: list[str]
    """Texts of the training rows."""
    validation: list[str]
    """Texts of the validation rows."""
    targets: np.ndarray
    """(N,) label ids or (N, L) 0/1 of both, training rows first."""
    num_labels: int
    """L."""
    task: Task
    config: ModelConfig
    """Settings of the expert."""
    pretrained: PieceVectors | None
    """For model.expert_vectors."""
    spaceless: bool
    """Whether characters of the baseline reach across words."""
    baseline: bool
    """Whether there is one."""
    score_validation: bool
    """Whether logits of the validation rows are wanted."""
    seed: int
    """Of the solver."""
    row_weights: np.ndarray | None = None
    """(N,) weights of both, training rows first; None where all rows weigh alike."""
    folds: np.ndarray | None = None
    """(N,) fold of each row of both, for logits of all rows; None where these are not wanted."""
    probabilities: np.ndarray | None = None
    """(N, L) chance of each label for both, training rows first; None where labels are sure. The baseline learns from
    the most probable label."""

    def fit(self) -> LinearModels:
        """Return the fitted models."""
        fit_expert = partial(
            LinearExpert.fit,
            num_labels=self.num_labels,
            task=self.task,
            config=self.config,
            seed=self.seed,
            pretrained=self.pretrained,
        )
        # Every fit reads the same words: they are found and numbered once.
        texts = self.train + self.validation
        words = SplitWords.of(texts, goes_on=True)
        # The combiner learns from rows that the expert has not seen.
        logits = None
        if self.score_validation:
            num_train = len(self.train)
            weights = None if self.row_weights is None else self.row_weights[:num_train]
            chances = None if self.probabilities is None else self.probabilities[:num_train]
            of_train, of_validation = words.select(0, num_train), words.select(num_train, len(texts))
            expert = fit_expert(
                self.train, self.targets[:num_train], row_weights=weights, words=of_train, probabilities=chances
            )
            logits = expert.logits(self.validation, of_validation)
        # What is saved learns from all rows.
        arrays = dict[str, np.ndarray]()
        if self.config.linear_expert:
            expert = fit_expert(
                texts, self.targets, row_weights=self.row_weights, words=words, probabilities=self.probabilities
            )
            arrays |= {f"expert.{name}": value for name, value in expert.to_arrays().items()}
        if self.baseline:
            baseline = LinearExpert.fit_baseline(
                texts,
                self.targets,
                num_labels=self.num_labels,
                task=self.task,
                seed=self.seed,
                spaceless=self.spaceless,
                row_weights=self.row_weights,
                words=words,
            )
            arrays |= {f"baseline.{name}": value for name, value in baseline.to_arrays().items()}
        return LinearModels(logits, arrays, None if self.folds is None else self._cross_logits(texts, fit_expert))

    def _cross_logits(self, texts: list[str], fit_expert: Callable[..., LinearExpert]) -> np.ndarray:
        """Return (N, L) float32 logits of all rows, each fold by an expert of the other folds."""
        assert self.folds is not None
        folds = self.folds
        found = np.zeros((len(texts), self.num_labels), dtype=np.float32)
        for fold in range(int(folds.max()) + 1):
            kept, left = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            # A fold may be empty where rows are fewer than folds.
            if not len(left) or not len(kept):
                continue
            expert = fit_expert(
                [texts[row] for row in kept],
                self.targets[kept],
                row_weights=None if self.row_weights is None else self.row_weights[kept],
                probabilities=None if self.probabilities is None else self.probabilities[kept],
            )
            found[left] = expert.logits([texts[row] for row in left])
        return found

    def to_message(self) -> Message:
        """Return the fits for another process."""
        texts = pack_strings(self.train + self.validation)
        arrays = {"bytes": texts.data, "offsets": texts.offsets, "targets": self.targets}
        values = {
            "num_train": len(self.train),
            "num_labels": self.num_labels,
            "task": str(self.task),
            "config": asdict(self.config),
            "spaceless": self.spaceless,
            "baseline": self.baseline,
            "score_validation": self.score_validation,
            "seed": self.seed,
            "tokenizer": None,
        }
        if self.pretrained is not None:
            arrays["vectors"] = self.pretrained.vectors
            values["tokenizer"] = self.pretrained.tokenizer_json
        if self.row_weights is not None:
            arrays["row_weights"] = self.row_weights
        if self.folds is not None:
            arrays["folds"] = self.folds
        if self.probabilities is not None:
            arrays["probabilities"] = self.probabilities
        return Message(values, arrays)

    @classmethod
    def from_message(cls, message: Message) -> "LinearFits":
        """Return the fits that `to_message` wrote."""
        values, arrays = message
        texts = unpack_strings(arrays["bytes"], arrays["offsets"])
        pretrained = None
        if values["tokenizer"] is not None:
            pretrained = PieceVectors(arrays["vectors"], values["tokenizer"])
        return cls(
            train=texts[: values["num_train"]],
            validation=texts[values["num_train"] :],
            targets=arrays["targets"],
            num_labels=values["num_labels"],
            task=Task(values["task"]),
            config=from_plain(ModelConfig, values["config"]),
            pretrained=pretrained,
            spaceless=values["spaceless"],
            baseline=values["baseline"],
            score_validation=values["score_validation"],
            seed=values["seed"],
            row_weights=arrays.get("row_weights"),
            folds=arrays.get("folds"),
            probabilities=arrays.get("probabilities"),
        )


if __name__ == "__main__":
    answer(int(sys.argv[1]), lambda message: LinearFits.from_message(message).fit().to_message())
