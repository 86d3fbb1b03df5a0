"""One trial in a process of its own: it may crash, leak or be killed without harm to the sweep."""

import multiprocessing
import time
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from textlstm.errors import TextLSTMError
from textlstm.processes.child import die_with_parent, end_words
from textlstm.sweeping.trials import Objective, Outcome, Pruned, TrialState

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
