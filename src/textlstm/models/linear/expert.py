"""The linear expert: TF-IDF n-grams and a linear support vector machine, fitted in seconds beside the network.

scikit-learn fits it; afterwards it is plain arrays and predicts with numpy (and scipy for characters). With fixed
settings the same class is the baseline that every model is compared with.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from textlstm.arrays.chunks import text_blocks
from textlstm.arrays.ragged import SplitWords
from textlstm.arrays.sparse import LinearFunction, SparseRows
from textlstm.config import ModelConfig, Task
from textlstm.models.linear.ngrams import NgramTable
from textlstm.models.linear.svm import fit_linear_svm

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

    table: NgramTable
    function: LinearFunction
    """From TF-IDF rows to margins."""

    @classmethod
    def fit(
        cls, texts: Sequence[str], targets: np.ndarray, *, num_labels: int, task: Task, config: ModelConfig, seed: int
    ) -> "LinearExpert":
        """Fit on raw texts: 1- and 2-grams of words and punctuation, with characters if `config` says so.

        Args:
            texts: N raw texts.
            targets: (N,) int label ids, or (N, L) 0/1 for several labels a text.
            num_labels: L; labels without a training row get a constant low logit.
            task: which of the two targets it is.
            config: model.expert_char_ngrams, model.expert_naive_bayes and model.expert_c.
            seed: seed of the solver.
        """
        table = _fit_table(texts, num_labels, config)
        strength, naive_bayes = config.expert_c, config.expert_naive_bayes
        fit_part = _solver(table, num_labels, task, strength=strength, naive_bayes=naive_bayes, seed=seed)
        return cls(table, fit_part(table.transform_all(texts), targets))

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
        table = _fit_table(texts, num_labels, config)
        rows = table.transform_all(texts)
        strength, naive_bayes = config.expert_c, config.expert_naive_bayes
        fit_part = _solver(table, num_labels, task, strength=strength, naive_bayes=naive_bayes, seed=seed)
        expert = cls(table, fit_part(rows, targets))
        folds = np.random.default_rng(seed).permutation(len(texts)) % num_folds
        held_out_logits = np.zeros((len(texts), num_labels), dtype=np.float32)
        for fold in range(num_folds):
            kept, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            if len(kept) and len(held_out):
                held_out_logits[held_out] = fit_part(rows.select(kept), targets[kept])(rows.select(held_out))
        return FittedExpert(expert, held_out_logits)

    @classmethod
    def fit_baseline(
        cls, texts: Sequence[str], targets: np.ndarray, *, num_labels: int, task: Task, seed: int
    ) -> "LinearExpert":
        """Fit the honest bar, whatever the model's settings.

        It is TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)) and LinearSVC() with all their other defaults.
        """
        table = NgramTable.fit(texts, all_tokens=False, characters=False, max_features=MAX_WEIGHTS // num_labels)
        fit_part = _solver(table, num_labels, task, strength=1.0, naive_bayes=False, seed=seed)
        return cls(table, fit_part(table.transform_all(texts), targets))

    def logits(self, texts: Sequence[str], words: SplitWords | None = None) -> np.ndarray:
        """Return (N, L) float32 margins of raw `texts`; `words` are theirs, where they are at hand."""
        return np.concatenate(
            [
                self.function(
                    self.table.transform(texts[block], None if words is None else words.select(block.start, block.stop))
                )
                for block in text_blocks(texts)
            ]
        )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the expert as plain arrays; n-grams are bytes with offsets."""
        return self.table.to_arrays() | self.function._asdict()

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "LinearExpert":
        """Return the expert that `to_arrays` wrote."""
        return cls(NgramTable.from_arrays(arrays), LinearFunction(arrays["weights"], arrays["bias"]))


def _fit_table(texts: Sequence[str], num_labels: int, config: ModelConfig) -> NgramTable:
    return NgramTable.fit(
        texts, all_tokens=True, characters=config.expert_char_ngrams, max_features=MAX_WEIGHTS // num_labels
    )


def _solver(
    table: NgramTable, num_labels: int, task: Task, *, strength: float, naive_bayes: bool, seed: int
) -> Callable[[SparseRows, np.ndarray], LinearFunction]:
    """Return `fit_linear_svm` with everything but the rows and their targets settled."""
    return partial(
        fit_linear_svm,
        num_features=table.num_features,
        num_labels=num_labels,
        task=task,
        strength=strength,
        seed=seed,
        naive_bayes=naive_bayes,
    )
