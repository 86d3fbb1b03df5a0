"""The one owner of Optuna: proposals, pruning, and the journal of trials on disk.

Only the process of the sweep touches the journal, whatever the number of jobs, so nothing can race for it.
"""

import itertools
import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, assert_never

from textlstm.config import Sampler, SweepSettings
from textlstm.errors import ConfigError, StorageError
from textlstm.storage.locks import try_lock
from textlstm.sweeping.space import Choice, Dimension, Range, changes, grid_size, parse_space
from textlstm.sweeping.trials import Outcome, TrialResult, TrialState

MAXIMIZED = {"macro_f1": True, "accuracy": True, "model_size": False, "label_speed": True}
"""The objectives, and whether more is better."""
TABLE_NAME = "trials.csv"
BEST_NAME = "best.yaml"
_JOURNAL = "journal.log"
_NAME = "sweep"
_FIXED = "fixed"
"""Attribute of the study: the settings that all trials share."""
_MOST_REPEATS = 100
"""After this many proposals in a row that were tried before, a space with ranges counts as exhausted."""
_FEW_REPEATS = 5
"""After this many, an untried point of a space of choices is taken in place of a proposal."""


def refuse_other_files(output_dir: Path) -> None:
    """Refuse a folder with files that a sweep would replace, and that no sweep has written.

    Raises:
        ConfigError: there is such a file.
    """
    if (output_dir / _JOURNAL).exists():
        return
    for name in (TABLE_NAME, BEST_NAME):
        if (output_dir / name).exists():
            raise ConfigError(
                f"{output_dir}: holds {name}, which a sweep would replace, and no sweep; choose another output_dir"
            )


class SweepStudy(AbstractContextManager["SweepStudy"]):
    """The trials of one sweep folder: those done are kept, those that a kill cut off are proposed again first."""

    def __init__(self, settings: SweepSettings, output_dir: Path, *, fixed: Mapping[str, str] | None = None) -> None:
        """Open the sweep in `output_dir`, or begin one.

        Args:
            settings: what to search and how.
            output_dir: folder of the journal.
            fixed: settings that all trials share, by name, from `fixed_settings`; an earlier call had the same.

        Raises:
            ConfigError: `settings` cannot be read, or the folder holds a sweep of another space, other objectives or
                another `fixed`, or another process works on it.
            StorageError: the folder cannot be written.
        """
        self.dimensions = parse_space(settings.space)
        self.settings = settings
        self._directions = _directions(settings)
        if settings.sampler is Sampler.grid and not grid_size(self.dimensions):
            raise ConfigError("sweep.sampler=grid needs listed values (KEY=A,B,C) in every entry of sweep.space")
        try:
            output_dir.mkdir(parents=True, exist_ok=True)
            # The lock comes before the journal: a trial that the journal calls running was then cut off.
            self._held = ExitStack()
            if not self._held.enter_context(try_lock(output_dir / "lock")):
                self._held.close()
                raise ConfigError(
                    f"{output_dir}: another process works on this sweep; wait or choose another output_dir"
                )
        except OSError as error:
            raise StorageError(f"{output_dir}: {error.strerror}") from error
        self._asked: dict[int, Any] = {}
        try:
            self._study = self._open(output_dir / _JOURNAL)
            self._check_same(output_dir, fixed or {})
            self._take_up_cut_off_trials()
        except OSError as error:
            self._held.close()
            raise StorageError(f"{output_dir}: {error.strerror}") from error
        except BaseException:
            self._held.close()  # another sweep may use the folder although this one may not
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let other processes use the folder."""
        self._held.close()

    def results(self) -> list[TrialResult]:
        """Return all finished trials, by number."""
        return [_result(trial) for trial in self._study.get_trials(deepcopy=False) if _counts(trial)]

    def ask(self) -> tuple[int, list[str]] | None:
        """Return the number and the overrides of a new trial, or None when all of the space was tried."""
        from optuna.trial import TrialState as State

        is_finite = grid_size(self.dimensions) > 0
        for repeats in range(_MOST_REPEATS):
            in_order = self.settings.sampler is Sampler.grid or (is_finite and repeats >= _FEW_REPEATS)
            if in_order and not self._enqueue_grid_point():
                return None
            trial = self._study.ask()
            params = {dimension.key: _suggest(trial, dimension) for dimension in self.dimensions}
            if params not in self._tried(except_number=trial.number):
                self._asked[trial.number] = trial
                return trial.number, _overrides(params)
            # A repeat is told as failed, without the seconds of a trial that ran, so it does not count as a result.
            trial.set_user_attr("repeat", True)
            self._study.tell(trial, state=State.FAIL)
        return None

    def should_prune(self, number: int, epoch: int, value: float) -> bool:
        """Note a figure of a running trial; return whether the trial falls behind the median of the others."""
        if not self.settings.pruning or len(self._directions) > 1:
            return False
        trial = self._asked[number]
        trial.report(value, epoch)
        return bool(trial.should_prune())

    def tell(self, number: int, outcome: Outcome) -> TrialResult:
        """Note the end of a trial; a figure that is missing or not a number makes it a failed one."""
        from optuna.trial import TrialState as State

        trial = self._asked.pop(number)
        names = self.settings.objectives
        missing = [name for name in names if not _is_number(outcome.values.get(name))]
        state, error = outcome.state, outcome.error
        if state is TrialState.complete and missing:
            state, error = TrialState.failed, f"no figure for {', '.join(missing)}"
        # Attributes first: Optuna takes none for a trial that has ended.
        trial.set_user_attr("seconds", outcome.seconds)
        trial.set_user_attr("error", error)
        match state:
            case TrialState.complete:
                trial.set_user_attr("figures", {k: v for k, v in outcome.values.items() if _is_number(v)})
                self._study.tell(trial, values=[outcome.values[name] for name in names])
            case TrialState.pruned:
                self._study.tell(trial, state=State.PRUNED)
            case TrialState.failed:
                self._study.tell(trial, state=State.FAIL)
            case _:
                assert_never(state)
        return next(result for result in self.results() if result.number == number)

    def best(self) -> list[TrialResult]:
        """Return the best trial, or those that no other beats in every objective; nothing while none is complete."""
        numbers = [trial.number for trial in self._study.best_trials]
        return [result for result in self.results() if result.number in numbers]

    def _open(self, path: Path) -> Any:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(logging.WARNING)
        study = optuna.create_study(
            study_name=_NAME,
            storage=JournalStorage(JournalFileBackend(str(path))),
            directions=self._directions,
            load_if_exists=True,
        )
        seed = self.settings.seed + 1000 * len(study.get_trials(deepcopy=False))  # a restart goes on, not back
        if self.settings.sampler is Sampler.tpe:
            # `constant_liar` keeps trials that run side by side apart: each counts as a bad one until it has ended.
            study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        else:
            study.sampler = optuna.samplers.RandomSampler(seed=seed)
        study.pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1)
        return study

    def _check_same(self, output_dir: Path, fixed: Mapping[str, str]) -> None:
        """Note the searched and the shared settings of this sweep; refuse to mix in trials of another one."""
        # A new study gets the attributes, an old one is compared by them.
        remedy = "choose another output_dir or remove this one"
        now = {"space": list(self.settings.space), "objectives": list(self.settings.objectives)}
        before = self._study.user_attrs
        is_new = not before
        for key, value in now.items():
            if key in before and before[key] != value:
                raise ConfigError(
                    f"{output_dir}: holds a sweep with sweep.{key}={before[key]}, now it is {value}; {remedy}"
                )
        # Version 0.1.0 did not note what its trials shared, so nothing says that new ones can stand beside them.
        if fixed and not is_new and _FIXED not in before:
            raise ConfigError(f"{output_dir}: holds a sweep that did not note its data and settings; {remedy}")
        if not is_new and (changed := changes(before.get(_FIXED, {}), fixed)):
            raise ConfigError(f"{output_dir}: holds a sweep, and since then changed: {'; '.join(changed)}; {remedy}")
        for key, noted in {**now, _FIXED: dict(fixed)}.items():
            if key not in before:
                self._study.set_user_attr(key, noted)

    def _take_up_cut_off_trials(self) -> None:
        from optuna.trial import TrialState as State

        for trial in self._study.get_trials(deepcopy=False, states=(State.RUNNING,)):
            self._study.tell(trial.number, state=State.FAIL)
            # A kill between a proposal and its last value leaves a trial without all settings: it is not repeated.
            if len(trial.params) == len(self.dimensions):
                self._study.enqueue_trial(trial.params, user_attrs={"taken_up": trial.number})

    def _enqueue_grid_point(self) -> bool:
        """Put the next untried point of the grid into the queue; False when there is none."""
        from optuna.trial import TrialState as State

        # A point that waits already, such as a trial that was cut off, goes first.
        if self._study.get_trials(deepcopy=False, states=(State.WAITING,)):
            return True
        tried = self._tried(except_number=-1)
        choices = [dimension.values for dimension in self.dimensions if isinstance(dimension, Choice)]
        for values in itertools.product(*choices):
            params = {dimension.key: value for dimension, value in zip(self.dimensions, values, strict=True)}
            if params not in tried:
                self._study.enqueue_trial(params)
                return True
        return False

    def _tried(self, *, except_number: int) -> list[dict[str, Any]]:
        from optuna.trial import TrialState as State

        return [
            trial.params
            for trial in self._study.get_trials(deepcopy=False)
            if trial.number != except_number and (_counts(trial) or trial.state == State.RUNNING)
        ]


def _directions(settings: SweepSettings) -> list[str]:
    unknown = [name for name in settings.objectives if name not in MAXIMIZED]
    if unknown or not settings.objectives or len(set(settings.objectives)) != len(settings.objectives):
        raise ConfigError(f"sweep.objectives={settings.objectives}: must be some of {', '.join(MAXIMIZED)}, each once")
    return ["maximize" if MAXIMIZED[name] else "minimize" for name in settings.objectives]


def _suggest(trial: Any, dimension: Dimension) -> Any:
    match dimension:
        case Choice(key, values):
            return trial.suggest_categorical(key, values)
        case Range(key, low, high, is_integer=True, is_log=is_log):
            return trial.suggest_int(key, int(low), int(high), log=is_log)
        case Range(key, low, high, is_integer=False, is_log=is_log):
            return trial.suggest_float(key, low, high, log=is_log)
    raise AssertionError(dimension)


def _overrides(params: dict[str, Any]) -> list[str]:
    return [f"{key}={value!r}" if isinstance(value, float) else f"{key}={value}" for key, value in params.items()]


def _counts(trial: Any) -> bool:
    """Whether a trial ran to its end: complete, pruned, or failed by itself (not cut off, not a repeat)."""
    return "seconds" in trial.user_attrs and trial.state.is_finished()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) < float("inf")


def _result(trial: Any) -> TrialResult:
    from optuna.trial import TrialState as State

    states = {State.COMPLETE: TrialState.complete, State.PRUNED: TrialState.pruned, State.FAIL: TrialState.failed}
    state = states[trial.state]
    return TrialResult(
        number=trial.number,
        state=state,
        overrides=tuple(_overrides(trial.params)),
        values=dict(trial.user_attrs.get("figures", {})) if state is TrialState.complete else {},
        error=trial.user_attrs["error"],
        seconds=trial.user_attrs["seconds"],
    )
