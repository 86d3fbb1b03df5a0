"""Preparation on a Ray cluster: a block of texts is a task."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from textlstm.config import Device, TextConfig
from textlstm.processes.ray_cluster import ray_cluster, tasks_in_order
from textlstm.text.fingerprint import TextDescription, TextFingerprint
from textlstm.text.messages import (
    decode_block,
    decode_ready,
    decode_result,
    decode_settings,
    encode_block,
    encode_ready,
    encode_result,
    encode_settings,
)
from textlstm.text.pipeline import TextPipeline
from textlstm.text.spacy_models import uses_torch
from textlstm.text.tokenized import TokenizedTexts

_BLOCKS_A_CORE = 2
"""Blocks that are under way for each core, so that none waits for the next one."""


class TextTask(NamedTuple):
    """What a worker of the cluster is given."""

    settings: bytes
    block: bytes


def prepare_on_ray(
    config: TextConfig,
    blocks: Iterable[Sequence[str]],
    *,
    num_workers: int,
    saved: TextFingerprint | None,
    on_ready: Callable[[TextDescription], None],
) -> Iterator[TokenizedTexts]:
    """Yield the prepared texts of each block, in order; `on_ready` hears the description of the preparation first.

    Args:
        config: the settings; tags are assigned on processors.
        blocks: blocks of texts, read a few ahead of the results.
        num_workers: most blocks at the same time; 0 means as many as the cluster has cores.
        saved: what a model recorded, as for `TextPipeline`.
        on_ready: called once.

    Raises:
        ConfigError: Ray is not installed.
        TextLSTMError: a worker met an error, or the same block cost several workers.
    """
    settings = encode_settings(replace(config, tagger_device=Device.cpu), saved)
    with ray_cluster() as ray:
        [described] = tasks_in_order(ray, describe, [settings], ahead=1)
        on_ready(decode_ready(described))
        cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
        tasks = (TextTask(settings, encode_block(number, block)) for number, block in enumerate(blocks))
        for result in tasks_in_order(ray, prepare_block, tasks, ahead=num_workers or _BLOCKS_A_CORE * cores):
            yield decode_result(result).prepared


def describe(settings: bytes) -> bytes:
    """Return the description of the preparation, as `encode_ready` writes it; runs in a worker."""
    return encode_ready(_pipeline(settings).description)


def prepare_block(task: TextTask) -> bytes:
    """Return the prepared block, as `encode_result` writes it; runs in a worker."""
    block = decode_block(task.block)
    return encode_result(block.number, _pipeline(task.settings).prepare(block.texts))


@lru_cache(maxsize=1)
def _pipeline(settings: bytes) -> TextPipeline:
    """Return the pipeline of a worker, which loads it once."""
    config, saved = decode_settings(settings)
    return TextPipeline(config, saved=saved, without_torch=not uses_torch(config))
