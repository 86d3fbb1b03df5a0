"""The settings that are `auto` get values, once for all trainings of a stage, and the corpus that goes with them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from textlstm.config import AUTO_SETTINGS, TrainConfig
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.fitting import resolve, resolve_text, with_values
from textlstm.processes.distributed import under_torchrun
from textlstm.stages.prepare import prepared
from textlstm.stages.screen import note, progress
from textlstm.stages.teaching import taught
from textlstm.teaching.answers import Answers


@dataclass(frozen=True, slots=True)
class Chosen:
    """Settings without `auto`, and the corpus as they prepare it."""

    config: TrainConfig
    corpus: PreparedCorpus
    values: dict[str, Any]
    """The values that were chosen, by key, in the order in which they can be applied."""
    answers: Answers | None = None
    """Of the teacher; None without one."""


def choose_settings(
    config: TrainConfig, corpus: PreparedCorpus, *, measure_speed: bool, stop: Callable[[], int] | None = None
) -> Chosen:
    """Return `config` with a plain value for every setting of `config.auto`, and say why each is what it is.

    Args:
        config: all settings of the stage.
        corpus: as `config` prepares it.
        measure_speed: see `resolve`.
        stop: asked while networks are trained.
    """
    if not config.auto:
        return Chosen(config, corpus, {}, taught(config, corpus))
    began = time.monotonic()
    # Which words are read comes first: sizes and time depend on them.
    # Under `torchrun` a training needs all processes, and the others wait for what is chosen here.
    with progress("training") as advance:
        advance(0, None, "choosing which words are read")
        words = resolve_text(config, corpus, in_one_process=not under_torchrun(), stop=stop)
    note(*(f"auto: {reason}" for reason in words.reasons))
    if words.config.text != config.text:
        corpus = prepared(words.config)
    answers = taught(words.config, corpus)
    with progress("training") as advance:
        advance(0, None, "choosing settings")
        measure_speed = measure_speed and not under_torchrun()
        rest = resolve(words.config, corpus, answers, measure_speed=measure_speed, began=began, stop=stop)
    note(*(f"auto: {reason}" for reason in rest.reasons))
    found = words.values | rest.values
    values = {key: found[key] for key in AUTO_SETTINGS if key in found}
    return Chosen(rest.config, corpus, values, answers)


def with_earlier_values(config: TrainConfig, corpus: PreparedCorpus, values: dict[str, Any]) -> Chosen:
    """Return `config` with the `values` that another process or an earlier start has chosen, and their corpus."""
    chosen = with_values(config, values)
    corpus = corpus if chosen.text == config.text else prepared(chosen)
    return Chosen(chosen, corpus, values, taught(chosen, corpus))
