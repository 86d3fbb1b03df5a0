"""The features of the linear expert, chosen by cross-validation on a bounded number of training rows."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from textlstm.arrays.ragged import bounded_sample
from textlstm.config import ModelConfig, Task
from textlstm.embeddings.sources import has_wordllama, vectors_of_expert
from textlstm.models.calibration.temperature import Wanted, fit_scales, mean_loss
from textlstm.models.linear.expert import ExpertFeatures, held_out_logits
from textlstm.models.linear.tfidf import SparseRows

EXPERT_KEYS = (
    "model.expert_vectors",
    "model.expert_char_ngrams",
    "model.expert_char_across",
    "model.expert_naive_bayes",
    "model.expert_c",
)
"""Settings that `choose_expert` decides, in the order in which they are tried."""

LEAST_ROWS = 500
"""With fewer rows, folds decide by chance: the features are then those that were best on draws of few rows."""
FEW_ROWS_A_CLASS = 12
"""Up to this many rows a class, vectors count twice as much as n-grams."""
_MOST_ROWS = 4_000
_MOST_CHARACTERS = 1_000_000
_NUM_FOLDS = 3
_MOST_NAIVE_BAYES_LABELS = 60
"""Naive Bayes is one fit a label on rows of its own; beyond this it is not tried."""
_LEAST_GAIN = 0.003
"""Part of the log loss that a dearer setting must save, and the accuracy that may stand in for it."""
_MOST_LOSS = 0.05
"""Part of the log loss that may be lost where accuracy gains."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting of the features and how well it labels rows that it was not fitted on."""

    name: str
    accuracy: float
    """Of held-out rows, in [0, 1]; with several labels a row, the part of labels that are right."""
    log_loss: float
    """Nats a held-out row, after temperature scaling."""
    full_seconds: float
    """Estimated seconds of one fit on all rows."""


@dataclass(frozen=True, slots=True)
class ExpertChoice:
    """The chosen settings and what they were chosen from."""

    config: ModelConfig
    trials: tuple[Trial, ...]
    reason: str
    """One line for people."""
    name: str = ""
    """Of the trial that was taken; empty where nothing was tried."""
    seconds: float = 0.0
    """Estimated seconds of all linear fits of a training: the expert on training rows and on all rows, the baseline."""


def choose_expert(
    texts: Sequence[str],
    targets: np.ndarray,
    *,
    num_labels: int,
    task: Task,
    config: ModelConfig,
    keys: Sequence[str],
    spaceless: bool,
    seconds: float,
    seed: int,
    num_folds: int = 0,
) -> ExpertChoice:
    """Return `config` with the features that do best on held-out rows; those that `keys` leaves out stay.

    Features are added one by one, the cheapest first; each stays where it lowers the log loss of held-out rows.

    Args:
        texts: N raw training texts.
        targets: (N,) int label ids, or (N, L) 0/1.
        num_labels: L.
        task: which of the two targets it is.
        config: the settings of the model.
        keys: those of `EXPERT_KEYS` that may change.
        spaceless: the texts are in a script without spaces between words.
        seconds: a fit on all rows may take this long.
        seed: of the sample, the folds and the solver.
        num_folds: further fits with the chosen features that the training makes, each on the other folds.
    """
    free = set(keys)
    vectors_fit = has_wordllama()
    plain = _with(config, {key: value for key, value in _PLAIN.items() if key in free})
    if len(texts) < LEAST_ROWS:
        return _of_few_rows(plain, len(texts), num_labels, free, spaceless=spaceless, has_vectors=vectors_fit)

    # A bounded sample, the same for all settings.
    rows = bounded_sample(texts, seed, most_rows=_MOST_ROWS, most_characters=_MOST_CHARACTERS)
    sample, wanted = [texts[i] for i in rows], targets[rows]
    growth = len(texts) / len(rows)

    known: dict[tuple[object, ...], _Features] = {}

    def tried(name: str, settings: ModelConfig) -> Trial:
        # Settings of the solver alone go with the features of the trial before.
        key = (settings.expert_vectors, settings.expert_char_ngrams, settings.expert_char_across)
        features = known.get(key) or _Features.of(sample, num_labels, settings)
        known.clear()
        known[key] = features
        return _try(name, features, wanted, num_labels=num_labels, task=task, config=settings, growth=growth, seed=seed)

    # The cheapest features first; each option is tried on top of those that were taken so far.
    best, best_config = tried("words 1-2", plain), plain
    trials = [best]
    for key, value, name in _options(free, spaceless=spaceless, has_vectors=vectors_fit, num_labels=num_labels):
        candidate = _with(best_config, {key: value})
        trial = tried(f"{best.name} + {name}" if name else f"{best.name}, C {value:g}", candidate)
        trials.append(trial)
        if _is_better(trial, best) and trial.full_seconds <= seconds:
            best, best_config = trial, candidate
    reason = (
        f"linear expert: {best.name} ({best.accuracy:.1%} of {len(rows):,} held-out training rows; "
        f"words 1-2 alone {trials[0].accuracy:.1%})"
    )
    # A better setting that takes too long is named, so that a user can allow it the time.
    too_long = [trial.name for trial in trials if trial.full_seconds > seconds and trial.log_loss < best.log_loss]
    if too_long:
        reason += f"; {too_long[-1]} would be better but takes longer than the time allows"
    # Two fits with the chosen features and one of the baseline, which has words alone.
    linear_seconds = (2 + num_folds) * best.full_seconds + trials[0].full_seconds
    return ExpertChoice(best_config, tuple(trials), reason, best.name, linear_seconds)


_PLAIN: dict[str, object] = {
    "model.expert_vectors": 0.0,
    "model.expert_char_ngrams": False,
    "model.expert_char_across": False,
    "model.expert_naive_bayes": False,
    "model.expert_c": 1.0,
}


def _is_better(trial: Trial, best: Trial) -> bool:
    """Return whether a dearer setting pays: by log loss, or by accuracy where the log loss hardly grows."""
    if trial.log_loss < best.log_loss * (1 - _LEAST_GAIN):
        return True
    return trial.accuracy >= best.accuracy + _LEAST_GAIN and trial.log_loss < best.log_loss * (1 + _MOST_LOSS)


def _options(
    free: set[str], *, spaceless: bool, has_vectors: bool, num_labels: int
) -> list[tuple[str, bool | float, str]]:
    """Return (key, value, name) of what is tried, in order."""
    characters = "model.expert_char_across" if spaceless else "model.expert_char_ngrams"
    options: list[tuple[str, bool | float, str]] = []
    if spaceless:
        options.append((characters, True, "characters 1-3"))
    if has_vectors:
        options.append(("model.expert_vectors", 1.0, "vectors"))
    if not spaceless:
        options.append((characters, True, "characters 2-5"))
    if num_labels <= _MOST_NAIVE_BAYES_LABELS:
        options.append(("model.expert_naive_bayes", True, "naive Bayes"))
    return [option for option in options if option[0] in free]


def _of_few_rows(
    plain: ModelConfig, num_rows: int, num_labels: int, free: set[str], *, spaceless: bool, has_vectors: bool
) -> ExpertChoice:
    weight = 2.0 if num_rows <= FEW_ROWS_A_CLASS * num_labels else 1.0
    values = {
        "model.expert_vectors": weight if has_vectors else 0.0,
        "model.expert_char_ngrams": not spaceless,
        "model.expert_char_across": spaceless,
    }
    chosen = _with(plain, {key: value for key, value in values.items() if key in free})
    return ExpertChoice(
        chosen, (), f"linear expert: all features, for {num_rows:,} training rows are too few to choose by"
    )


def _with(config: ModelConfig, values: Mapping[str, Any]) -> ModelConfig:
    return replace(config, **{key.removeprefix("model."): value for key, value in values.items()})


@dataclass(frozen=True, slots=True)
class _Features:
    """Columns and rows of the sample, for all folds, and the seconds that they took."""

    columns: ExpertFeatures
    rows: SparseRows
    seconds: float

    @classmethod
    def of(cls, texts: Sequence[str], num_labels: int, config: ModelConfig) -> "_Features":
        started = time.perf_counter()
        columns = ExpertFeatures.fit(texts, num_labels, config, vectors_of_expert(config))
        rows = columns.rows(texts)
        return cls(columns, rows, time.perf_counter() - started)


def _try(
    name: str,
    features: _Features,
    targets: np.ndarray,
    *,
    num_labels: int,
    task: Task,
    config: ModelConfig,
    growth: float,
    seed: int,
) -> Trial:
    """Return the scores and the time of `config`, which labels each of three folds by learning from the other two."""
    folds = np.arange(len(targets)) % _NUM_FOLDS  # the sample is in random order
    started = time.perf_counter()
    # (N, L) logits of rows that each fit has not seen.
    held_out = held_out_logits(
        features.columns, features.rows, targets, folds, num_labels=num_labels, task=task, config=config, seed=seed
    )
    per_fit = (time.perf_counter() - started) / (_NUM_FOLDS - 1)  # each fit saw two thirds of the rows
    # The log loss is that after temperature scaling.
    wanted = Wanted.of(targets, num_labels, task=task)
    (scale,), bias = fit_scales([held_out], wanted)
    right = (held_out > 0) == (targets > 0) if task is Task.multi_label else held_out.argmax(axis=1) == targets
    # The time of the features and of one fit, enlarged from the sample to all rows.
    return Trial(
        name,
        float(right.mean()),
        mean_loss(scale * held_out + bias, wanted),
        growth * (features.seconds + per_fit),
    )
