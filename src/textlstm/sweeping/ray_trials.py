"""A trial on a Ray cluster: an actor runs it, and whoever waits for it here passes its reports on."""

import os
from collections.abc import Callable
from pathlib import Path
from queue import Queue
from typing import Any

from textlstm.errors import TextLSTMError
from textlstm.processes.child import ATTEMPTS
from textlstm.processes.ray_cluster import answer, first_line, ray_cluster
from textlstm.sweeping.trials import Objective, Pruned, Report


class TrialActor:
    """One trial in a process of the cluster; its methods run in threads of their own."""

    def __init__(self, folder: str) -> None:
        """Work in `folder`, so that relative paths of settings mean the same files."""
        os.chdir(folder)
        self._reports: Queue[tuple[int, float]] = Queue()
        self._answers: Queue[bool] = Queue()

    def run(self, objective: Objective, overrides: list[str]) -> dict[str, float]:
        """Return the figures of the trial."""
        return objective(overrides, self._report)

    def next_report(self) -> tuple[int, float]:
        """Wait for the next report of the trial, (epoch, value)."""
        return self._reports.get()

    def answer(self, prune: bool) -> None:
        """Let the trial go on after a report, or stop early."""
        self._answers.put(prune)

    def _report(self, epoch: int, value: float) -> None:
        self._reports.put((epoch, value))
        if self._answers.get():
            raise Pruned


def run_on_ray(objective: Objective, overrides: list[str], report: Report) -> dict[str, float]:
    """Do what `objective` does, on the cluster; a trial whose worker dies is run again.

    Raises:
        ConfigError: Ray is not installed.
        Pruned: `report` asked for it.
        TextLSTMError: the workers of the trial died `ATTEMPTS` times.
        Exception: what the trial raised.
    """
    last_epoch = 0

    def is_pruned(epoch: int, value: float) -> bool:
        nonlocal last_epoch
        # A trial that is run again repeats its reports.
        if epoch <= last_epoch:
            return False
        last_epoch = epoch
        try:
            report(epoch, value)
        except Pruned:
            return True
        return False

    with ray_cluster() as ray:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return _run_once(ray, objective, overrides, is_pruned)
            except ray.exceptions.RayActorError as error:
                if attempt == ATTEMPTS:
                    raise TextLSTMError(
                        f"a Ray worker died {ATTEMPTS} times in this trial: {first_line(error)}"
                    ) from error
    raise AssertionError


def _run_once(
    ray: Any, objective: Objective, overrides: list[str], is_pruned: Callable[[int, float], bool]
) -> dict[str, float]:
    # Three methods at a time: the trial, the wait for its next report, an answer.
    actor = ray.remote(num_cpus=1, max_restarts=0, max_concurrency=3)(TrialActor).remote(str(Path.cwd()))
    running = actor.run.remote(objective, overrides)
    try:
        while True:
            waiting = actor.next_report.remote()
            ready, _ = ray.wait([running, waiting])
            # What comes with the end needs no answer.
            if running in ready:
                figures: dict[str, float] = answer(ray, running)
                return figures
            actor.answer.remote(is_pruned(*ray.get(waiting)))
    finally:
        ray.kill(actor)
