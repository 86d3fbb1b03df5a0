"""The linear expert: TF-IDF n-grams and linear support vector machines, fitted in seconds beside the network.

scikit-learn fits it; the fitted expert is plain arrays and predicts with numpy (and scipy for characters). With fixed
settings the same class is the baseline that every model is compared with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from textlstm.arrays.ragged import SplitWords, bounded_sample, text_blocks
from textlstm.config import ModelConfig, Task
from textlstm.models.linear.mean_vectors import MeanVectorFeatures, PieceVectors, VectorMeans
from textlstm.models.linear.ngrams import NgramTable
from textlstm.models.linear.svm import fit_linear_svm
from textlstm.models.linear.tfidf import LinearFunction, SparseRows, join_columns

MAX_WEIGHTS = 64_000_000
"""Most columns times labels of an expert; the rarest n-grams are left out until it fits."""

_MOST_BASELINE_ROWS = 3_000
_MOST_BASELINE_CHARACTERS = 1_000_000
_NUM_BASELINE_FOLDS = 3
"""Most rows and characters, and the folds, of the choice between words and characters for the baseline."""
_MOST_SPELLED, _MOST_SPELLED_LABELS = 20_000_000, 100_000_000
"""Characters, and characters times labels, up to which the baseline may read characters: a fit takes many seconds."""


@dataclass(frozen=True, slots=True)
class LinearExpert:
    """One linear function of TF-IDF features for each label; its logits are the margins of support vector machines."""

    table: NgramTable
    function: LinearFunction
    """From TF-IDF rows to margins."""
    vectors: VectorMeans | None = None
    """Margins from the mean of a text's pretrained vectors; None without `model.expert_vectors`."""

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        targets: np.ndarray,
        *,
        num_labels: int,
        task: Task,
        config: ModelConfig,
        seed: int,
        pretrained: PieceVectors | None = None,
        row_weights: np.ndarray | None = None,
        words: SplitWords | None = None,
        probabilities: np.ndarray | None = None,
    ) -> "LinearExpert":
        """Fit on raw texts: 1- and 2-grams of words and punctuation, with characters if `config` says so.

        Args:
            texts: N raw texts.
            targets: (N,) int label ids, or (N, L) 0/1 for several labels a text.
            num_labels: L; labels without a training row get a constant low logit.
            task: which of the two targets it is.
            config: model.expert_char_ngrams, model.expert_naive_bayes and model.expert_c.
            seed: seed of the solver.
            pretrained: vectors for model.expert_vectors.
            row_weights: (N,) weights of the texts; None where all weigh alike.
            words: the words of the texts, if known already.
            probabilities: (N, L) chance of each label; None where `targets` are sure.

        Raises:
            ValueError: model.expert_vectors is set, and there are no vectors.
        """
        words = SplitWords.of(texts, goes_on=True) if words is None else words
        features = ExpertFeatures.fit(texts, num_labels, config, pretrained, words)
        return features.expert(
            fit_rows(
                features,
                features.rows(texts, words),
                targets,
                num_labels=num_labels,
                task=task,
                config=config,
                seed=seed,
                row_weights=row_weights,
                probabilities=probabilities,
            )
        )

    @classmethod
    def fit_baseline(
        cls,
        texts: Sequence[str],
        targets: np.ndarray,
        *,
        num_labels: int,
        task: Task,
        seed: int,
        spaceless: bool = False,
        row_weights: np.ndarray | None = None,
        words: SplitWords | None = None,
    ) -> "LinearExpert":
        """Return the baseline, the same for all settings of a model: words or characters, chosen by cross-validation.

        Words are TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)), characters 2-5 have analyzer="char_wb", and
        characters 1-3, for texts in scripts without spaces, analyzer="char". LinearSVC() has its defaults.

        Args:
            texts: N raw texts.
            targets: as in `fit`.
            num_labels: L.
            task: which of the two targets it is.
            seed: of the sample and the solver.
            spaceless: whether the texts are in a script without spaces.
            row_weights: (N,) weights of the texts; None where all weigh alike.
            words: the words of the texts, if known already.
        """
        solve = partial(fit_linear_svm, num_labels=num_labels, task=task, strength=1.0, seed=seed)
        fit_table = partial(NgramTable.fit, all_tokens=False, max_features=MAX_WEIGHTS // num_labels)
        by_words = partial(fit_table, characters=False)
        by_characters = partial(fit_table, characters=True, across_words=spaceless, with_words=False)
        chosen = by_words

        # Characters of long texts take minutes, so words stand for both there.
        num_characters = sum(map(len, texts))
        if spaceless or (num_characters <= _MOST_SPELLED and num_characters * num_labels <= _MOST_SPELLED_LABELS):
            # Count the right decisions of both on the same held-out rows; words win a tie.
            sample = bounded_sample(
                texts, seed, most_rows=_MOST_BASELINE_ROWS, most_characters=_MOST_BASELINE_CHARACTERS
            )
            few, its_targets = [texts[i] for i in sample], targets[sample]
            folds = np.arange(len(few)) % _NUM_BASELINE_FOLDS
            right = []
            for fit_features in (by_words, by_characters):
                table = fit_features(few)
                rows, held_out = table.transform_all(few), np.zeros((len(few), num_labels), dtype=np.float32)
                for fold in range(_NUM_BASELINE_FOLDS):
                    kept, left = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
                    if len(kept) and len(left):
                        function = solve(rows.select(kept), its_targets[kept], num_features=table.num_features)
                        held_out[left] = function(rows.select(left))
                # With several labels a text, each margin above 0 is a label; with one, the highest margin is.
                decided = held_out > 0 if task is Task.multi_label else held_out.argmax(axis=1)
                right.append(int((decided == its_targets).sum()))
            chosen = by_characters if right[1] > right[0] else by_words

        # Fit the better one on all rows.
        table = chosen(texts, words=words)
        rows = table.transform_all(texts, words)
        return cls(table, solve(rows, targets, num_features=table.num_features, row_weights=row_weights))

    @property
    def description(self) -> str:
        """Say what the features are, such as "words 1-2 and characters 2-5"."""
        return self.table.description + (" and vectors" if self.vectors is not None else "")

    def logits(self, texts: Sequence[str], words: SplitWords | None = None) -> np.ndarray:
        """Return (N, L) float32 margins of raw `texts`; `words` are their words, if known already."""
        parts = []
        for block in text_blocks(texts):
            its_words = SplitWords.of(texts[block]) if words is None else words.select(block.start, block.stop)
            part = self.function(self.table.transform(texts[block], its_words))
            parts.append(part if self.vectors is None else part + self.vectors(its_words))
        return np.concatenate(parts)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the expert as plain arrays; n-grams are bytes with offsets."""
        arrays = self.table.to_arrays() | self.function._asdict()
        if self.vectors is not None:
            arrays |= {f"vectors.{name}": array for name, array in self.vectors.to_arrays().items()}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "LinearExpert":
        """Return the expert that `to_arrays` wrote."""
        vectors = {
            name.removeprefix("vectors."): array for name, array in arrays.items() if name.startswith("vectors.")
        }
        return cls(
            NgramTable.from_arrays(arrays),
            LinearFunction(arrays["weights"], arrays["bias"]),
            VectorMeans.from_arrays(vectors) if vectors else None,
        )


@dataclass(frozen=True, slots=True)
class ExpertFeatures:
    """The columns that an expert is fitted on: n-grams, then the mean of pretrained vectors."""

    table: NgramTable
    means: MeanVectorFeatures | None

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        num_labels: int,
        config: ModelConfig,
        pretrained: PieceVectors | None = None,
        words: SplitWords | None = None,
    ) -> "ExpertFeatures":
        """Return the features of the training `texts`, which have these `words`, that `config` chooses.

        Raises:
            ValueError: model.expert_vectors is set, and there are no `pretrained` vectors.
        """
        table = NgramTable.fit(
            texts,
            all_tokens=True,
            characters=config.expert_char_ngrams or config.expert_char_across,
            across_words=config.expert_char_across,
            max_features=MAX_WEIGHTS // num_labels,
            words=words,
        )
        if not config.expert_vectors:
            return cls(table, None)
        if pretrained is None:
            raise ValueError("model.expert_vectors needs pretrained vectors")
        means = MeanVectorFeatures.fit(
            SplitWords.of(texts) if words is None else words, pretrained, weight=config.expert_vectors
        )
        return cls(table, means)

    @property
    def num_dense(self) -> int:
        """Number of columns of the mean vectors."""
        return 0 if self.means is None else self.means.num_features

    def rows(self, texts: Sequence[str], words: SplitWords | None = None) -> SparseRows:
        """Return the (N, columns) rows of `texts`, which have these `words`: n-grams first, then mean vectors."""
        rows = self.table.transform_all(texts, words)
        if self.means is None:
            return rows
        dense = self.means.transform(SplitWords.of(texts) if words is None else words)
        return join_columns(rows, dense, num_left=self.table.num_features)

    def expert(self, function: LinearFunction) -> LinearExpert:
        """Return the expert that computes `function`, which has weights for all columns."""
        if self.means is None:
            return LinearExpert(self.table, function)
        # Weights of the dense columns become scores of word pieces (see `mean_vectors.py`).
        first_dense = self.table.num_features
        of_ngrams = LinearFunction(np.ascontiguousarray(function.weights[:first_dense]), function.bias)
        return LinearExpert(self.table, of_ngrams, self.means.with_weights(function.weights[first_dense:]))


def fit_rows(
    features: ExpertFeatures,
    rows: SparseRows,
    targets: np.ndarray,
    *,
    num_labels: int,
    task: Task,
    config: ModelConfig,
    seed: int,
    row_weights: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
) -> LinearFunction:
    """Return machines fitted on `rows` of `features`, with model.expert_c and model.expert_naive_bayes."""
    return fit_linear_svm(
        rows,
        targets,
        num_features=features.table.num_features + features.num_dense,
        num_labels=num_labels,
        task=task,
        strength=config.expert_c,
        seed=seed,
        naive_bayes=config.expert_naive_bayes,
        num_dense=features.num_dense,
        row_weights=row_weights,
        probabilities=probabilities,
    )


def held_out_logits(
    features: ExpertFeatures,
    rows: SparseRows,
    targets: np.ndarray,
    folds: np.ndarray,
    *,
    num_labels: int,
    task: Task,
    config: ModelConfig,
    seed: int,
) -> np.ndarray:
    """Return (N, L) float32 logits of `rows`; the logits of each fold come from machines fitted on the other folds.

    Args:
        features: the columns; their n-grams and document frequencies come from all rows, but know no labels.
        rows: N rows of them.
        targets: (N,) int label ids, or (N, L) 0/1.
        folds: (N,) number of the fold of each row.
        num_labels: L.
        task: which of the two targets it is.
        config: model.expert_c and model.expert_naive_bayes.
        seed: seed of the solver.
    """
    logits = np.zeros((len(targets), num_labels), dtype=np.float32)
    # No row is scored by machines that have seen it; with a single fold all logits stay 0.
    for fold in np.unique(folds).tolist():
        kept, left = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if len(kept):
            function = fit_rows(
                features, rows.select(kept), targets[kept], num_labels=num_labels, task=task, config=config, seed=seed
            )
            logits[left] = function(rows.select(left))
    return logits
