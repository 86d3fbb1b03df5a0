"""`resolve`: every setting that is `auto` gets a value from the corpus and the time, before training."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from textlstm.config import AUTO_SETTINGS, TEXT_SETTINGS, TrainConfig, with_one_network
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.embeddings.sources import has_wordllama
from textlstm.fitting.auto_expert import EXPERT_KEYS, choose_expert
from textlstm.fitting.auto_network import DataSize, choose_sizes, choose_within_time
from textlstm.fitting.labelled_rows import LabelledRows, labelled_rows
from textlstm.fitting.linear import NUM_FOLDS, fits_beside_network, needs_folds
from textlstm.fitting.networks import fit_networks, network_inputs
from textlstm.fitting.sampling import bounded_rows, linear_rows
from textlstm.processes.devices import choose_device
from textlstm.teaching.answers import Answers
from textlstm.text.language_detection import is_spaceless
from textlstm.training.job import EpochReport

_TIMED_TOKENS = 30_000
_TIMED_STEPS = 20
"""Steps that are timed of batches so large that `_TIMED_TOKENS` would be fewer."""
ASSUMED_SPEED = 50_000
"""Tokens a second where they are not measured."""
_TIME_OF_EXPERT = 0.1
"""Part of the minutes that one fit of the linear expert may take."""

_SECONDS_A_MILLION_TOKENS = 2.0
"""What numbering words, starting linear fits and scoring validation rows take of the minutes (imdb: 11.7 s for 5.8
million tokens)."""
_SHARE_BESIDE = 0.5
"""Part of the seconds of linear fits by which a network is slower that trains beside them (BBC News: 24 s cost 12)."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Settings without `auto`, and why they are what they are."""

    config: TrainConfig
    values: dict[str, Any]
    """The values that were chosen, by key."""
    reasons: tuple[str, ...]
    """A line each, for people."""


def resolve(
    config: TrainConfig,
    corpus: PreparedCorpus,
    answers: Answers | None = None,
    *,
    measure_speed: bool = True,
    began: float | None = None,
    stop: Callable[[], int] | None = None,
) -> Resolved:
    """Return `config` with a plain value for every setting of `config.auto`.

    The result is what a training depends on: the same values typed by hand give the same model.

    Args:
        config: all settings of stage train.
        corpus: with training and validation rows.
        answers: of a teacher; None without one.
        measure_speed: time a short training; else `ASSUMED_SPEED` counts, which is the same on every machine.
        began: when the choice of settings began, by `time.monotonic`: with a measured speed, its seconds come out of
            the minutes too. None: now.
        stop: asked while the speed is measured.

    Raises:
        InputError: the corpus has no training or no validation rows.
    """
    free = frozenset(config.auto)
    if not free:
        return Resolved(config, {}, ())
    began = time.monotonic() if began is None else began
    rows = labelled_rows(corpus, answers, teacher_share=config.training.teacher_share)
    rows = bounded_rows(rows, seed=config.seed)
    of_linear = linear_rows(rows, seed=config.seed)
    texts = of_linear.train.texts()
    model, training, reasons = config.model, config.training, list[str]()

    # Vectors first: sizes, learning rates and speed depend on them.
    if "model.embeddings" in free:
        model = replace(model, embeddings=chosen_embeddings())
        reasons.append(
            "vectors of wordllama" if model.embeddings else "no pretrained vectors: wordllama is not installed"
        )

    # The features of the linear expert.
    linear_seconds = 0.0
    if model.linear_expert and free & set(EXPERT_KEYS):
        choice = choose_expert(
            texts,
            of_linear.train_targets,
            num_labels=len(corpus.labels),
            task=corpus.task,
            config=model,
            keys=[key for key in EXPERT_KEYS if key in free],
            spaceless=is_spaceless(texts),
            seconds=60 * training.minutes * _TIME_OF_EXPERT,
            seed=config.seed,
            num_folds=NUM_FOLDS if needs_folds(rows.validation_targets, config) else 0,
        )
        model, linear_seconds = choice.config, choice.seconds
        if fits_beside_network(texts):
            linear_seconds *= _SHARE_BESIDE
        reasons.append(choice.reason)

    # The network: first the settings that the data decide, then those that the time decides.
    learned = [rows.train] if rows.unlabelled is None else [rows.train, rows.unlabelled]
    size = DataSize(
        num_rows=sum(map(len, learned)),
        num_validation_rows=len(rows.validation),
        num_tokens=sum(int(np.minimum(np.diff(split.offsets()), model.max_tokens).sum()) for split in learned),
        num_labels=len(corpus.labels),
    )
    on_gpu = choose_device(training.device, key="training.device").type == "cuda"
    sizes = choose_sizes(size, model, training, free, on_gpu=on_gpu)
    config = replace(config, model=sizes.model, training=sizes.training)
    speed: float = ASSUMED_SPEED
    other_seconds = linear_seconds
    if measure_speed:
        speed = _tokens_per_second(rows, corpus, config, stop=stop)
        # A minute is over soon: on 25,000 reviews, choosing alone takes 20 s of it.
        other_seconds += time.monotonic() - began + size.num_tokens / 1e6 * _SECONDS_A_MILLION_TOKENS
    within = choose_within_time(
        size, sizes.model, sizes.training, free, tokens_per_second=speed, other_seconds=other_seconds
    )
    reasons += [*sizes.reasons, *within.reasons]
    resolved = replace(config, model=within.model, training=within.training, auto=[])
    # text.pos was resolved before the corpus was prepared; with `auto=[]` its plain default would count.
    values = {key: setting_value(resolved, key) for key in AUTO_SETTINGS if key in free or key in TEXT_SETTINGS}
    return Resolved(resolved, values, tuple(reasons))


def chosen_embeddings() -> list[str]:
    """Return the value of `model.embeddings` that stands for `auto`."""
    return ["wordllama"] if has_wordllama() else []


def with_values(config: TrainConfig, values: dict[str, Any]) -> TrainConfig:
    """Return `config` with the chosen `values` of an earlier `resolve`, and nothing left to choose."""
    for key, value in values.items():
        group, _, name = key.partition(".")
        config = replace(config, **{group: replace(getattr(config, group), **{name: value})})
    return replace(config, auto=[])


def setting_value(config: TrainConfig, key: str) -> Any:
    """Return the value of a setting by its full key, such as `model.max_tokens`."""
    group, _, name = key.partition(".")
    return getattr(getattr(config, group), name)


def typed_settings(values: dict[str, Any]) -> str:
    """Return chosen values as they can be typed: `training.epochs=6 model.embeddings=[wordllama]`."""
    return " ".join(f"{key}={_shown(value)}" for key, value in values.items())


def _tokens_per_second(
    rows: LabelledRows, corpus: PreparedCorpus, config: TrainConfig, *, stop: Callable[[], int] | None
) -> float:
    """Return the tokens a second of a training on some of the rows; the first of two epochs warms up."""
    # Rows in random order, up to some tokens; no validation rows, whose scoring would cost time.
    lengths = np.minimum(np.diff(rows.train.offsets()), config.model.max_tokens)
    order = np.random.default_rng(0).permutation(len(lengths))
    timed_tokens = max(_TIMED_TOKENS, _TIMED_STEPS * config.training.batch_tokens)
    chosen = order[: max(1, int(np.searchsorted(np.cumsum(lengths[order]), timed_tokens)))]
    some = rows.without_unlabelled().select_train(chosen).select_validation(np.arange(0))
    # One network without the options that make a step dearer.
    alone = with_one_network(config)
    training = replace(alone.training, epochs=2, adversarial=0.0, r_drop=0.0, patience=0)
    speeds: list[float] = []

    def note(report: EpochReport) -> None:
        speeds.append(report.tokens_per_second)

    short = replace(alone, training=training)
    fit_networks(network_inputs(some, short), corpus, short, work_dir=None, on_epoch=note, stop=stop)
    return max(speeds[-1], 1.0)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{','.join(value)}]" if isinstance(value, list) else str(value)
