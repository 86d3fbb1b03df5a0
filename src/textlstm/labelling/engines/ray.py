"""The Ray engine: shards over actors that hold the model. Ray only schedules; parts and journal are the same.

An actor reserves half a core, so that a cluster always has room for what Ray itself needs and nothing hangs. An actor
that dies, with its node or alone, is replaced, and its shard is done again; a shard that is done twice writes the same
bytes under the same name.
"""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from textlstm.config import LabellingConfig
from textlstm.errors import TextLSTMError
from textlstm.labelling.journal import Journal, ShardRecord
from textlstm.labelling.model import ModelSource, RowClassifier
from textlstm.labelling.output import Target
from textlstm.labelling.shard import ShardTask, label_shard
from textlstm.processes.child import ATTEMPTS
from textlstm.processes.ray_cluster import first_line, ray_cluster
from textlstm.storage.stores import open_store

CORES_OF_ACTOR = 0.5
READY_SECONDS = 300.0
"""A cluster that has started no actor after this long has no room for one."""


class ActorJob(NamedTuple):
    """What an actor needs to start; Ray sends it to the actor's machine."""

    load: Callable[[Path, LabellingConfig, bool], RowClassifier]
    model_dir: str
    settings: LabellingConfig
    many_texts: bool
    root: str
    scratch: str


class ShardActor:
    """Holds the model in one process of the cluster."""

    def __init__(self, job: ActorJob) -> None:
        """Load the model."""
        self._job = job
        self._store = open_store(job.root)
        self._classifier = job.load(Path(job.model_dir), job.settings, job.many_texts)

    def ready(self) -> int:
        """Return the process id once the model is loaded."""
        return os.getpid()

    def label(self, task: ShardTask, folder: str) -> ShardRecord:
        """Label one shard."""
        return label_shard(
            task,
            self._classifier,
            settings=self._job.settings,
            journal=Journal(self._store, folder, scratch=self._job.scratch),
            on_rows=lambda _rows: None,
        )


class RayEngine:
    """Actors on the cluster that RAY_ADDRESS names, else on a cluster of this machine alone."""

    def __init__(
        self, models: ModelSource, model_dir: Path, *, settings: LabellingConfig, target: Target, many_texts: bool
    ) -> None:
        """Connect, and start the actors.

        Raises:
            ConfigError: Ray is not installed.
        """
        self._connection = ExitStack()
        self._ray = ray = self._connection.enter_context(ray_cluster())
        self.num_workers = settings.num_workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        # max_restarts=0: `run` replaces dead actors, since it counts the deaths of each shard.
        actor_class = ray.remote(num_cpus=CORES_OF_ACTOR, max_restarts=0)(ShardActor)
        job = ActorJob(models.load, str(model_dir.absolute()), settings, many_texts, target.store.root, target.scratch)
        self._new_actor: Callable[[], Any] = lambda: actor_class.remote(job)
        self._starting: dict[Any, Any] = {}
        for _ in range(self.num_workers):
            self._start_actor()

    def __enter__(self) -> Self:
        """Return the engine."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the cluster; its actors of this job end."""
        self._connection.close()

    def run(
        self, tasks: Sequence[ShardTask], *, journal: Journal, on_rows: Callable[[int], None]
    ) -> Iterator[ShardRecord]:
        """Yield the record of each task as it is done.

        Raises:
            TextLSTMError: What an actor reported; or actors died twice on the same shard; or none could be started.
        """
        waiting = deque(tasks)
        deaths: Counter[int] = Counter()
        running: dict[Any, tuple[Any, ShardTask]] = {}
        num_left = len(tasks)
        while num_left:
            # Wait for what ends first: a shard, or the start of an actor.
            finished, _ = self._ray.wait([*running, *self._starting], timeout=READY_SECONDS)
            # While a shard is under way, a long wait is no sign of a full cluster.
            if not finished and not running:
                raise TextLSTMError("the Ray cluster started no worker within five minutes; is there a free core?")
            for reference in finished:
                # An actor that has just started has no task yet.
                actor, task = running.pop(reference, None) or (self._starting.pop(reference), None)
                answer = self._answer(reference, task, deaths)
                if isinstance(answer, ShardRecord):
                    num_left -= 1
                    yield answer
                if answer is None:
                    # The actor died: its shard goes first in the queue, and a new actor starts.
                    if task is not None:
                        waiting.appendleft(task)
                    self._start_actor()
                elif waiting:
                    # The actor is free, after its start or after a shard.
                    task = waiting.popleft()
                    running[actor.label.remote(task, journal.folder)] = (actor, task)
            on_rows(0)

    def _answer(self, reference: Any, task: ShardTask | None, deaths: Counter[int]) -> ShardRecord | int | None:
        """Return what an actor answered, None when it died.

        Raises:
            TextLSTMError: What the actor raised, or a death too many.
        """
        try:
            answer: ShardRecord | int = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            # Ray wraps what the actor raised; an error of this package is raised without the wrapping.
            cause = error.cause
            raise cause if isinstance(cause, TextLSTMError) else error from None
        except self._ray.exceptions.RayActorError as error:
            # Deaths while the model loads are counted together under -1, which is no shard's number.
            number = -1 if task is None else task.shard.number
            deaths[number] += 1
            if deaths[number] < ATTEMPTS:
                return None
            what = "while it loaded the model" if task is None else _on_shard(task)
            raise TextLSTMError(f"a Ray worker died {ATTEMPTS} times {what}: {first_line(error)}") from error
        return answer

    def _start_actor(self) -> None:
        actor = self._new_actor()
        self._starting[actor.ready.remote()] = actor


def _on_shard(task: ShardTask) -> str:
    shard = task.shard
    return f"on {task.file.name}, shard {shard.number} (rows {shard.first_row} to {shard.last_row})"
