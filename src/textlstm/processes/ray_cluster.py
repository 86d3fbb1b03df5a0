"""Ray: a connection to a cluster, and tasks on it whose answers come in order. Ray schedules; the work is that of here.

A worker that dies, alone or with its node, costs the tasks that it was at: they are done again elsewhere.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from textlstm.errors import ConfigError, TextLSTMError
from textlstm.processes.child import ATTEMPTS

_ADDRESS = "RAY_ADDRESS"


@contextmanager
def ray_cluster() -> Iterator[Any]:
    """Give the module `ray`, connected to the cluster that RAY_ADDRESS names, else to one of this machine alone.

    A cluster to which the caller is connected already is used, and stays connected at the end. Within the block,
    RAY_ADDRESS leads child processes to the same cluster.

    Raises:
        ConfigError: Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # by default Ray reports its use over the network
    try:
        import ray
    except ImportError as error:
        raise ConfigError("engine=ray needs Ray: pip install 'textlstm[ray]'") from error
    was_connected, address = ray.is_initialized(), os.environ.get(_ADDRESS)
    if not was_connected:
        ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False)
    os.environ[_ADDRESS] = ray.get_runtime_context().gcs_address
    try:
        yield ray
    finally:
        if address is None:
            del os.environ[_ADDRESS]
        else:
            os.environ[_ADDRESS] = address
        if not was_connected:
            ray.shutdown()


def tasks_in_order(ray: Any, function: Callable[[Any], Any], items: Iterable[Any], *, ahead: int) -> Iterator[Any]:
    """Yield what `function`, of a module, gives for each item, in order.

    Args:
        ray: a connected cluster.
        function: runs in workers of the cluster, where the same packages are installed; each takes a core.
        items: read at most `ahead` before the answers.
        ahead: most tasks at a time.

    Raises:
        TextLSTMError: as `function`; or the workers of a task died `ATTEMPTS` times.
    """
    task = ray.remote(num_cpus=1, max_retries=ATTEMPTS - 1)(function)
    waiting: deque[Any] = deque()
    for item in items:
        if len(waiting) == ahead:
            yield answer(ray, waiting.popleft())
        waiting.append(task.remote(item))
    while waiting:
        yield answer(ray, waiting.popleft())


def answer(ray: Any, reference: Any) -> Any:
    """Wait for a task and return its answer.

    Raises:
        Exception: what the task raised.
        TextLSTMError: its workers died `ATTEMPTS` times.
    """
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        # Ray wraps what the task raised.
        raise error.cause if isinstance(error.cause, Exception) else error from None
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError) as error:
        raise TextLSTMError(f"a Ray worker died {ATTEMPTS} times on the same work: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """Return the first line of what Ray says about a worker."""
    return (str(error).strip().splitlines() or ["no reason given"])[0]
