"""Where the shards of a job are labelled: in the calling process for small inputs, in worker processes, or on Ray."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Protocol, assert_never

from textlstm.config import Device, Engine, LabelConfig, LabellingConfig
from textlstm.inference.gpu_process import GpuProcess
from textlstm.labelling.engines.local import LocalEngine, WorkerJob
from textlstm.labelling.inputs import num_bytes
from textlstm.labelling.journal import Journal, ShardRecord
from textlstm.labelling.model import ModelSource, RowClassifier
from textlstm.labelling.output import Target
from textlstm.labelling.shard import ShardTask, label_shard
from textlstm.processes.devices import num_cores
from textlstm.storage.stores import is_remote

# The engine for small inputs: this process does all shards, so that one row costs one start and no more.


class InlineEngine:
    """Labels in the calling process."""

    num_workers = 1

    def __init__(self, classifier: RowClassifier, *, settings: LabellingConfig) -> None:
        """Label by `classifier`."""
        self._classifier = classifier
        self._settings = settings

    def run(
        self, tasks: Sequence[ShardTask], *, journal: Journal, on_rows: Callable[[int], None]
    ) -> Iterator[ShardRecord]:
        """Yield the record of each task in order; `on_rows` is called with the rows done of the current one."""
        for task in tasks:
            yield label_shard(task, self._classifier, settings=self._settings, journal=journal, on_rows=on_rows)
            on_rows(0)


PACKED = (".gz", ".zst", ".parquet", ".xlsx")
INLINE_BYTES = 1_000_000
"""Smaller inputs are done sooner by this process than by others that must start first."""
INLINE_ROWS = 5_000
"""So is what is left of a larger input when there are no more rows than this."""


class ShardEngine(Protocol):
    """Labels shards."""

    num_workers: int

    def run(
        self, tasks: Sequence[ShardTask], *, journal: Journal, on_rows: Callable[[int], None]
    ) -> Iterator[ShardRecord]:
        """Yield the record of each task as it is done; `on_rows` hears the rows done of unfinished shards."""


@contextmanager
def start_engine(
    config: LabelConfig,
    models: ModelSource,
    model_dir: Path,
    *,
    names: Sequence[str],
    target: Target,
    inherited: tuple[int, ...],
    num_rows: int | None = None,
) -> Iterator[ShardEngine]:
    """Give the engine for a job, its workers already loading the model; at the end they are gone.

    `num_rows` tells how many rows are to be labelled; None where the job is not planned yet.

    Raises:
        ConfigError: `engine=ray` without Ray.
        IntegrityError: The model's files were changed.
    """
    settings = config.labelling
    match config.engine:
        case Engine.local if is_small(names):
            # Small inputs: no other process has to start, and tables for many texts would not pay.
            yield InlineEngine(models.load(model_dir, settings, False), settings=settings)
        case Engine.local if num_rows is not None and num_rows <= INLINE_ROWS:
            # The model is prepared as in workers, so that the same bytes come out.
            yield InlineEngine(models.load(model_dir, settings, True), settings=settings)
        case Engine.local:
            # The workers start here and load the model while the caller plans the job.
            wanted = settings.num_workers or num_cores()
            with gpu_processes(model_dir.absolute(), settings, most=wanted) as gpus:
                job = WorkerJob(
                    command=models.worker_command,
                    model_dir=str(model_dir.absolute()),
                    settings=settings,
                    root=target.store.root,
                    scratch=target.scratch,
                    inherited=inherited,
                    gpus=gpus,
                )
                with LocalEngine(job, num_workers=wanted) as engine:
                    yield engine
        case Engine.ray:
            # Imported here, since Ray is an optional dependency.
            from textlstm.labelling.engines.ray import RayEngine

            with RayEngine(
                models, model_dir, settings=settings, target=target, many_texts=not is_small(names)
            ) as engine:
                yield engine
        case _:
            assert_never(config.engine)


def is_small(names: Sequence[str]) -> bool:
    """Say whether inputs are best done without worker processes; their size alone decides, not the machine."""
    if any(not is_remote(name) and not Path(name).is_file() and not Path(name).is_dir() for name in names):
        return False  # standard input and pipes tell no size
    # A packed file counts five times, since it holds more text than its size shows.
    return sum(num_bytes(name) * (5 if name.endswith(PACKED) else 1) for name in names) <= INLINE_BYTES


@contextmanager
def gpu_processes(model_dir: Path, settings: LabellingConfig, *, most: int) -> Iterator[tuple[str, ...]]:
    """Start a process a GPU, `most` at most, that computes the networks; give their addresses, none without GPUs."""
    if settings.device is not Device.cuda:
        yield ()
        return
    # torch, which counts GPUs, is loaded for them alone.
    import torch

    count = max(1, min(torch.cuda.device_count(), most))
    with tempfile.TemporaryDirectory(prefix="textlstm-") as folder, ExitStack() as started:
        processes = [
            started.enter_context(
                closing(GpuProcess(model_dir, gpu=gpu, precision=settings.precision, folder=Path(folder)))
            )
            for gpu in range(count)
        ]
        yield tuple(process.address for process in processes)
