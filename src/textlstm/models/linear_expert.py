"""The linear expert: TF-IDF n-grams and a linear support vector machine, fitted in seconds beside the network.

scikit-learn fits it; afterwards it is plain arrays and predicts with numpy and torch alone. With fixed settings the
same class is the baseline that every model is compared with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from textlstm.config import ModelConfig, Task
from textlstm.models.margins import fit_margins
from textlstm.models.ngrams import WordNgrams, text_blocks
from textlstm.models.sparse_rows import LinearFunction, SparseRows, join_rows

MAX_WEIGHTS = 64_000_000
"""Columns times labels of an expert; rarer n-grams are left out beyond it."""


class FittedExpert(NamedTuple):
    """An expert and what it says about its own training rows when they are held out."""

    expert: "LinearExpert"
    out_of_fold_logits: np.ndarray
    """(N, L) float32; each row's logits come from a fit without that row."""


@dataclass(frozen=True, slots=True)
class LinearExpert:
    """One linear function of TF-IDF features a label; its logits are the margins of the support vector machines."""

    words: WordNgrams
    function: LinearFunction
    """From TF-IDF rows to margins."""

    @classmethod
    def fit(
        cls, texts: Sequence[str], targets: np.ndarray, *, num_labels: int, task: Task, config: ModelConfig, seed: int
    ) -> "LinearExpert":
        """Fit on raw texts.

        Args:
            texts: N raw texts.
            targets: (N,) int label ids, or (N, L) 0/1 for several labels a text.
            num_labels: L; labels without a training row get a constant low logit.
            task: which of the two targets it is.
            config: model.expert_char_ngrams and model.expert_c.
            seed: seed of the solver.
        """
        words = _fit_ngrams(texts, num_labels)
        function = fit_margins(
            _transform(words, texts),
            targets,
            num_features=words.num_features,
            num_labels=num_labels,
            task=task,
            strength=config.expert_c,
            seed=seed,
        )
        return cls(words, function)

    @classmethod
    def fit_with_out_of_fold(
        cls,
        texts: Sequence[str],
        targets: np.ndarray,
        *,
        num_labels: int,
        task: Task,
        config: ModelConfig,
        seed: int,
        num_folds: int = 5,
    ) -> FittedExpert:
        """Fit as `fit` does, and on all but one of `num_folds` parts in turn to get held-out logits of every row.

        The n-gram table and its document frequencies come from all rows; they hold no labels.
        """
        words = _fit_ngrams(texts, num_labels)
        rows = _transform(words, texts)
        fit_part = partial(
            fit_margins,
            num_features=words.num_features,
            num_labels=num_labels,
            task=task,
            strength=config.expert_c,
            seed=seed,
        )
        expert = cls(words, fit_part(rows, targets))
        folds = np.random.default_rng(seed).permutation(len(texts)) % num_folds
        held_out_logits = np.empty((len(texts), num_labels), dtype=np.float32)
        for fold in range(num_folds):
            kept, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            if not len(kept) or not len(held_out):
                held_out_logits[held_out] = 0
                continue
            held_out_logits[held_out] = fit_part(rows.select(kept), targets[kept])(rows.select(held_out))
        return FittedExpert(expert, held_out_logits)

    @classmethod
    def fit_baseline(
        cls, texts: Sequence[str], targets: np.ndarray, *, num_labels: int, task: Task, seed: int
    ) -> "LinearExpert":
        """Fit the honest bar: TF-IDF of word 1- and 2-grams and LinearSVC with C = 1, whatever the model's settings."""
        return cls.fit(texts, targets, num_labels=num_labels, task=task, config=ModelConfig(), seed=seed)

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Return (N, L) float32 margins of raw `texts`."""
        blocks = [self.function(self.words.transform(block)) for block in text_blocks(texts)]
        return np.concatenate(blocks) if blocks else np.empty((0, len(self.function.bias)), dtype=np.float32)

    def to_tensors(self) -> dict[str, Tensor]:
        """Return the expert as plain tensors; n-grams are bytes with offsets."""
        arrays = self.words.to_arrays() | self.function._asdict()
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> "LinearExpert":
        """Return the expert that `to_tensors` wrote."""
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        return cls(WordNgrams.from_arrays(arrays), LinearFunction(arrays["weights"], arrays["bias"]))


def _fit_ngrams(texts: Sequence[str], num_labels: int) -> WordNgrams:
    min_count = 1
    words = WordNgrams.fit(texts)
    while words.num_features * num_labels > MAX_WEIGHTS and min_count < len(texts):
        min_count += 1
        words = WordNgrams.fit(texts, min_count=min_count)
    return words


def _transform(words: WordNgrams, texts: Sequence[str]) -> SparseRows:
    return join_rows([words.transform(block) for block in text_blocks(texts)])
