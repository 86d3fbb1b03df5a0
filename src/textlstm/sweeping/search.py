"""The search itself: `run_search`."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

from textlstm.config import SweepSettings
from textlstm.errors import Interrupted
from textlstm.storage.files import atomic_file
from textlstm.sweeping.study import BEST_NAME, TABLE_NAME, SweepStudy
from textlstm.sweeping.trials import Objective, Outcome, Pruned, TrialResult, Worker, run_objective

# The files of a sweep: the table of trials and the best settings.


def write_table(path: Path, trials: Sequence[TrialResult], *, best: Sequence[TrialResult]) -> None:
    """Write a CSV with a row a trial: number, state, the searched keys, the figures, is_best, seconds, error.

    Raises:
        StorageError: the file cannot be written.
    """
    keys = [override.partition("=")[0] for override in trials[0].overrides] if trials else []
    figures = sorted({name for trial in trials for name in trial.values})
    best_numbers = {trial.number for trial in best}
    with atomic_file(path) as stream:
        file = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(file)
        writer.writerow(["trial", "state", *keys, *figures, "is_best", "seconds", "error"])
        for trial in trials:
            settings = [override.partition("=")[2] for override in trial.overrides]
            values = [trial.values.get(name, "") for name in figures]
            is_best = "yes" if trial.number in best_numbers else "no"
            row = [trial.number, trial.state.value, *settings, *values, is_best]
            writer.writerow([*row, f"{trial.seconds:.1f}", trial.error])
        # The wrapper must let go of the stream, which is flushed and renamed after this block.
        file.detach()


def write_best(path: Path, trial: TrialResult) -> None:
    """Write the settings of a trial as an experiment file (`conf/experiment/NAME.yaml`).

    Raises:
        StorageError: the file cannot be written.
    """
    from omegaconf import OmegaConf

    figures = ", ".join(f"{name} {value:.6g}" for name, value in sorted(trial.values.items()))
    header = f"# @package _global_\n# Best of a sweep: trial {trial.number}, {figures}.\n"
    settings = OmegaConf.to_yaml(OmegaConf.from_dotlist(list(trial.overrides)))
    with atomic_file(path) as stream:
        stream.write((header + settings).encode())


_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The trials of a sweep and the best of them."""

    trials: list[TrialResult]
    """All finished trials, those before a restart included, by number."""
    best: list[TrialResult]
    """The best one; with several objectives, those that no other beats in all of them. Empty: every trial failed."""
    table_path: Path
    """CSV with a row a trial."""
    best_path: Path | None
    """Experiment file with the settings of the best trial, or None when every trial failed."""


def run_search(
    settings: SweepSettings,
    objective: Objective,
    *,
    output_dir: Path,
    fixed: Mapping[str, str] | None = None,
    on_trial: Callable[[TrialResult], None] | None = None,
    stop: Callable[[], int] | None = None,
) -> SearchResult:
    """Run trials until `settings.num_trials` have finished, and write the table and the best settings.

    A sweep that was killed continues: finished trials count, those cut off are run again. A trial that fails is noted
    and counts too. With `settings.jobs` above 1 each trial runs in a fresh process.

    Args:
        settings: what to search and how.
        objective: runs a trial; see `Objective`.
        output_dir: folder of the journal, the table and the best settings.
        fixed: settings that all trials share, by name; a sweep that is continued must have been given the same.
        on_trial: called after each trial that finishes in this run, in the order in which they do.
        stop: asked at least twice a second with jobs above 1, else before each trial; not 0 is a signal's number.

    Raises:
        ConfigError: the settings cannot be read or do not fit the sweep in `output_dir`.
        StorageError: `output_dir` cannot be written.
        Interrupted: `stop` asked for it; running trials are run again by the next sweep.
    """
    with SweepStudy(settings, output_dir, fixed=fixed) as study:
        runner = _run_here if settings.jobs == 1 else _run_in_processes

        def finished(number: int, outcome: Outcome) -> None:
            # The journal has the trial before the table does; a kill in between leaves the table one trial behind.
            result = study.tell(number, outcome)
            write_table(output_dir / TABLE_NAME, study.results(), best=study.best())
            if on_trial:
                on_trial(result)

        runner(study, objective, finished, stop or (lambda: 0))
        trials, best = study.results(), study.best()
    # The table is written in any case: a sweep that was complete before runs no trial.
    write_table(output_dir / TABLE_NAME, trials, best=best)
    best_path = output_dir / BEST_NAME if best else None
    if best_path:
        write_best(best_path, best[0])
    return SearchResult(trials, best, output_dir / TABLE_NAME, best_path)


def _run_here(
    study: SweepStudy, objective: Objective, finished: Callable[[int, Outcome], None], stop: Callable[[], int]
) -> None:
    while len(study.results()) < study.settings.num_trials:
        _check(stop)
        asked = study.ask()
        if asked is None:
            return
        number, overrides = asked

        # A pruned trial raises inside the objective, which lets it pass, and comes back as an outcome.
        def report(epoch: int, value: float, number: int = number) -> None:
            if study.should_prune(number, epoch, value):
                raise Pruned

        finished(number, run_objective(objective, overrides, report))


def _run_in_processes(
    study: SweepStudy, objective: Objective, finished: Callable[[int, Outcome], None], stop: Callable[[], int]
) -> None:
    workers: dict[int, Worker] = {}
    exhausted = False
    try:
        while True:
            _check(stop)
            # Fill free places with new trials, but start no more than are still wanted.
            open_trials = study.settings.num_trials - len(study.results()) - len(workers)
            while not exhausted and open_trials > 0 and len(workers) < study.settings.jobs:
                asked = study.ask()
                if asked is None:
                    exhausted = True
                    break
                workers[asked[0]] = Worker(objective, asked[1])
                open_trials -= 1
            if not workers:
                return
            # A report gets its answer at once, since the trial waits for it; an end makes room for the next trial.
            for number in _ready(workers):
                message = workers[number].receive()
                if isinstance(message, Outcome):
                    del workers[number]
                    finished(number, message)
                else:
                    workers[number].answer(prune=study.should_prune(number, *message))
    finally:
        # After a signal or an error: the journal calls these trials running, so the next sweep proposes them again.
        for worker in workers.values():
            worker.stop()


def _ready(workers: dict[int, Worker]) -> Sequence[int]:
    # Wake up for a message, and at the latest after half a second, so that `stop` is asked.
    ready = wait([worker.connection for worker in workers.values()], timeout=_POLL_SECONDS)
    return [number for number, worker in workers.items() if worker.connection in ready]


def _check(stop: Callable[[], int]) -> None:
    if signal_number := stop():
        raise Interrupted(signal_number, "sweep stopped; the same command continues it")
