"""The files of a sweep: the table of trials and the best settings."""

import csv
from collections.abc import Sequence
from pathlib import Path

from textlstm.errors import StorageError
from textlstm.sweeping.trials import TrialResult


def write_table(path: Path, trials: Sequence[TrialResult], *, best: Sequence[TrialResult]) -> None:
    """Write a CSV with a row a trial: number, state, the searched keys, the figures, is_best, seconds, error.

    Raises:
        StorageError: the file cannot be written.
    """
    keys = [override.partition("=")[0] for override in trials[0].overrides] if trials else []
    figures = sorted({name for trial in trials for name in trial.values})
    best_numbers = {trial.number for trial in best}
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["trial", "state", *keys, *figures, "is_best", "seconds", "error"])
            for trial in trials:
                settings = [override.partition("=")[2] for override in trial.overrides]
                values = [trial.values.get(name, "") for name in figures]
                is_best = "yes" if trial.number in best_numbers else "no"
                row = [trial.number, trial.state.value, *settings, *values, is_best]
                writer.writerow([*row, f"{trial.seconds:.1f}", trial.error])
        temporary.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error


def write_best(path: Path, trial: TrialResult) -> None:
    """Write the settings of a trial as an experiment file (`conf/experiment/NAME.yaml`).

    Raises:
        StorageError: the file cannot be written.
    """
    from omegaconf import OmegaConf

    figures = ", ".join(f"{name} {value:.6g}" for name, value in sorted(trial.values.items()))
    header = f"# @package _global_\n# Best of a sweep: trial {trial.number}, {figures}.\n"
    try:
        path.write_text(header + OmegaConf.to_yaml(OmegaConf.from_dotlist(list(trial.overrides))), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error
