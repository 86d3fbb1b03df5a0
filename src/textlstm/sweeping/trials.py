"""A trial: its objective, reports and outcome, and the process of its own in which it may crash, leak or be killed."""

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from textlstm.errors import TextLSTMError
from textlstm.processes.child import die_with_parent, end_words


class TrialState(StrEnum):
    """The end of a trial."""

    complete = "complete"
    pruned = "pruned"
    failed = "failed"


class Pruned(Exception):  # noqa: N818  (a decision, not an error)
    """Raised by `report` inside a trial that falls behind; the objective lets it pass."""


Report = Callable[[int, float], None]
"""report(epoch, value of the first objective); raises Pruned."""
Objective = Callable[[list[str], Report], dict[str, float]]
"""objective(overrides, report) returns figures by name, those of `sweep.objectives` among them.

With more than one job it runs in a fresh process, so it must be a module's function (or a partial of one).
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an objective's run."""

    state: TrialState
    values: dict[str, float] = field(default_factory=dict)
    error: str = ""
    """One line: why it failed."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One finished trial."""

    number: int
    """From 0, in the order of proposals."""
    state: TrialState
    overrides: tuple[str, ...]
    """KEY=VALUE of each searched key."""
    values: dict[str, float]
    """Figures of the objectives, empty unless complete."""
    error: str
    seconds: float


# One trial in a process of its own: it may crash, leak or be killed without harm to the sweep.

_STOP_SECONDS = 5.0


def run_objective(objective: Objective, overrides: list[str], report: Any) -> Outcome:
    """Run an objective here; every exception becomes a failed outcome, save those that end a process."""
    began = time.perf_counter()
    try:
        values = objective(overrides, report)
    except Pruned:
        return Outcome(TrialState.pruned, seconds=time.perf_counter() - began)
    except TextLSTMError as error:
        return Outcome(TrialState.failed, error="; ".join(error.problems), seconds=time.perf_counter() - began)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return Outcome(TrialState.failed, error=reason, seconds=time.perf_counter() - began)
    return Outcome(TrialState.complete, values=dict(values), seconds=time.perf_counter() - began)


class Worker:
    """A process that runs one trial; it dies with its parent."""

    def __init__(self, objective: Objective, overrides: list[str]) -> None:
        """Start the trial of `overrides`."""
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._began = time.perf_counter()
        self._process: SpawnProcess = context.Process(
            target=_main, args=(objective, overrides, theirs), name="textlstm-trial"
        )
        self._process.start()
        # With our copy of that end open, the pipe of a dead process would never end.
        theirs.close()

    def receive(self) -> tuple[int, float] | Outcome:
        """Return the next report (epoch, value), or the outcome of the trial; a dead process is a failed trial."""
        try:
            kind, content = self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            seconds = time.perf_counter() - self._began
            return Outcome(
                TrialState.failed, error=f"the trial's process {end_words(self._process.exitcode)}", seconds=seconds
            )
        if kind == "report":
            epoch, value = content
            return int(epoch), float(value)
        self._process.join()
        state, values, error, seconds = content
        return Outcome(TrialState(state), values, error, seconds)

    def answer(self, *, prune: bool) -> None:
        """Answer a report: go on, or stop early."""
        try:
            self.connection.send(prune)
        except OSError:
            return  # the process died meanwhile; the next `receive` says so

    def stop(self) -> None:
        """End the process: by SIGTERM, and by SIGKILL if it still runs after that."""
        self._process.terminate()
        self._process.join(_STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _main(objective: Objective, overrides: list[str], connection: Connection) -> None:
    die_with_parent()

    # The parent answers each report: true ends the trial.
    def report(epoch: int, value: float) -> None:
        connection.send(("report", (epoch, value)))
        if connection.recv():
            raise Pruned

    outcome = run_objective(objective, overrides, report)
    connection.send(("end", (outcome.state.value, outcome.values, outcome.error, outcome.seconds)))
