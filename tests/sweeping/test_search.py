import csv
import importlib
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from textlstm.config import Sampler, SweepSettings
from textlstm.errors import ConfigError, Interrupted
from textlstm.sweeping.search import run_search
from textlstm.sweeping.trials import TrialState

pytest.importorskip("optuna")
HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _objectives_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))


def _cheap(name: str):
    return getattr(importlib.import_module("cheap_objective"), name)


@pytest.mark.parametrize("sampler", list(Sampler))
def test_search_finds_the_best_choice(sampler: Sampler, tmp_path: Path) -> None:
    settings = SweepSettings(space=["a=1,2,3,4"], sampler=sampler, num_trials=4, pruning=False)
    result = run_search(settings, _cheap("distance"), output_dir=tmp_path)
    assert sorted(trial.overrides for trial in result.trials) == [("a=1",), ("a=2",), ("a=3",), ("a=4",)]
    assert [(trial.overrides, trial.values["macro_f1"]) for trial in result.best] == [(("a=3",), 1.0)]


def test_search_ends_when_the_space_is_exhausted(tmp_path: Path) -> None:
    settings = SweepSettings(space=["a=1,2,3"], num_trials=12, pruning=False)
    assert len(run_search(settings, _cheap("distance"), output_dir=tmp_path).trials) == 3


def test_finished_sweep_runs_nothing_more_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    settings = SweepSettings(space=["a=1..100", "b=0..1"], num_trials=5, pruning=False)
    first = run_search(settings, _cheap("distance"), output_dir=tmp_path)
    seen = []
    again = run_search(settings, _cheap("distance"), output_dir=tmp_path, on_trial=seen.append)
    assert (again.trials, seen) == (first.trials, [])
    settings.num_trials = 8
    more = run_search(settings, _cheap("distance"), output_dir=tmp_path, on_trial=seen.append)
    assert more.trials == [*first.trials, *seen]
    assert len({trial.overrides for trial in more.trials}) == 8


def test_table_and_best_settings_are_written(tmp_path: Path) -> None:
    settings = SweepSettings(space=["a=2,3", "model.hidden_size=64"], sampler=Sampler.grid, pruning=False)
    result = run_search(settings, _cheap("distance"), output_dir=tmp_path)
    with result.table_path.open(newline="") as file:
        rows = [{**row, "seconds": ""} for row in csv.DictReader(file)]
    common = {"state": "complete", "model.hidden_size": "64", "label_speed": "1.0", "seconds": "", "error": ""}
    two = {"trial": "0", "a": "2", "accuracy": "0.25", "macro_f1": "0.5", "model_size": "2.0", "is_best": "no"}
    three = {"trial": "1", "a": "3", "accuracy": "0.5", "macro_f1": "1.0", "model_size": "3.0", "is_best": "yes"}
    assert rows == [{**common, **two}, {**common, **three}]
    assert result.best_path is not None
    assert result.best_path.read_text() == (
        "# @package _global_\n"
        "# Best of a sweep: trial 1, accuracy 0.5, label_speed 1, macro_f1 1, model_size 3.\n"
        "a: 3\nmodel:\n  hidden_size: 64\n"
    )


def test_several_objectives_give_those_that_no_other_beats(tmp_path: Path) -> None:
    settings = SweepSettings(space=["a=1,2,3,4"], sampler=Sampler.grid, objectives=["macro_f1", "model_size"])
    result = run_search(settings, _cheap("distance"), output_dir=tmp_path)
    assert [trial.overrides for trial in result.best] == [("a=1",), ("a=2",), ("a=3",)]


def test_trials_that_fall_behind_are_pruned(tmp_path: Path) -> None:
    space = ["a=3,4,5,6,7,50,60,70"]
    settings = SweepSettings(space=space, sampler=Sampler.grid, num_trials=8)
    states = [trial.state for trial in run_search(settings, _cheap("distance"), output_dir=tmp_path / "on").trials]
    assert states == [TrialState.complete] * 4 + [TrialState.pruned] * 4
    settings.pruning = False
    states = [trial.state for trial in run_search(settings, _cheap("distance"), output_dir=tmp_path / "off").trials]
    assert states == [TrialState.complete] * 8


def test_failed_trials_are_noted_and_the_sweep_goes_on(tmp_path: Path) -> None:
    settings = SweepSettings(space=["a=1,2,3,4"], sampler=Sampler.grid, jobs=2)
    result = run_search(settings, _cheap("troubled"), output_dir=tmp_path)
    assert [
        (trial.overrides[0], trial.state.value, trial.error)
        for trial in sorted(result.trials, key=lambda t: t.overrides)
    ] == [
        ("a=1", "failed", "ValueError: no such luck"),
        ("a=2", "failed", "the trial's process was killed by signal 9"),
        ("a=3", "complete", ""),
        ("a=4", "failed", "no figure for macro_f1"),
    ]
    assert [trial.overrides for trial in result.best] == [("a=3",)]


@pytest.mark.parametrize("round_number", [1, 2, 3])
def test_eight_jobs_on_a_fresh_store(round_number: int, tmp_path: Path) -> None:
    settings = SweepSettings(space=["a=1..1000", "b=0..1"], num_trials=8, jobs=8, pruning=False)
    result = run_search(settings, _cheap("distance"), output_dir=tmp_path)
    assert [trial.state for trial in result.trials] == [TrialState.complete] * 8
    assert len({trial.overrides for trial in result.trials}) == 8


def test_killed_sweep_continues_to_twelve_distinct_trials(tmp_path: Path) -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from functools import partial; from pathlib import Path\n"
        "from cheap_objective import slow; from textlstm.config import SweepSettings\n"
        "from textlstm.sweeping.search import run_search\n"
        "settings = SweepSettings(space=['a=1..50', 'b=0..1'], num_trials=12, pruning=False)\n"
        "run_search(settings, partial(slow, sys.argv[1]), output_dir=Path(sys.argv[1]) / 'sweep')\n"
    )
    source = str(HERE.parents[1] / "src")
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(HERE), source])
    starts = tmp_path / "starts"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not starts.exists() or len(starts.read_text().splitlines()) < 6):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    started = starts.read_text().splitlines()
    settings = SweepSettings(space=["a=1..50", "b=0..1"], num_trials=12, pruning=False)
    seen = []
    objective = partial(_cheap("slow"), str(tmp_path))
    result = run_search(settings, objective, output_dir=tmp_path / "sweep", on_trial=seen.append)
    assert len(result.trials) == len({trial.overrides for trial in result.trials}) == 12
    assert 0 < len(seen) < 12  # those that had finished before the kill were not run again
    assert set(started) <= {" ".join(trial.overrides) for trial in result.trials}  # the one cut off was run again


def test_stop_interrupts_and_the_next_run_continues(tmp_path: Path) -> None:
    settings = SweepSettings(space=["a=1..50"], num_trials=4, pruning=False)
    seen = []
    with pytest.raises(Interrupted) as caught:
        run_search(
            settings,
            _cheap("distance"),
            output_dir=tmp_path,
            on_trial=seen.append,
            stop=lambda: 15 if len(seen) == 2 else 0,
        )
    assert (caught.value.exit_code, str(caught.value)) == (143, "sweep stopped; the same command continues it")
    result = run_search(settings, _cheap("distance"), output_dir=tmp_path)
    assert result.trials[:2] == seen
    assert len(result.trials) == 4


def test_another_space_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    run_search(SweepSettings(space=["a=1,2"], num_trials=1), _cheap("distance"), output_dir=tmp_path)
    with pytest.raises(ConfigError) as caught:
        run_search(SweepSettings(space=["a=1,3"], num_trials=1), _cheap("distance"), output_dir=tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: holds a sweep with sweep.space=['a=1,2'], now it is ['a=1,3']; "
        "choose another output_dir or remove this one"
    )


def test_a_sweep_whose_trials_share_something_else_is_refused(tmp_path: Path) -> None:
    settings = SweepSettings(space=["a=1,2"], num_trials=1)
    run_search(settings, _cheap("distance"), output_dir=tmp_path, fixed={"seed": "1", "the data": "abc"})
    for fixed, changed in (
        ({"seed": "2", "the data": "abc"}, "seed was 1, now it is 2"),
        ({"seed": "1", "the data": "xyz"}, "the data changed"),
    ):
        with pytest.raises(ConfigError) as caught:
            run_search(settings, _cheap("distance"), output_dir=tmp_path, fixed=fixed)
        assert str(caught.value) == (
            f"{tmp_path}: holds a sweep, and since then changed: {changed}; "
            "choose another output_dir or remove this one"
        )
    # Control: with the same, it goes on.
    settings.num_trials = 2
    result = run_search(settings, _cheap("distance"), output_dir=tmp_path, fixed={"seed": "1", "the data": "abc"})
    assert len(result.trials) == 2


def test_two_sweeps_in_one_folder_at_once_are_refused(tmp_path: Path) -> None:
    def objective(overrides: list[str], report: object) -> dict[str, float]:
        with pytest.raises(ConfigError) as caught:
            run_search(settings, _cheap("distance"), output_dir=tmp_path)
        return {"macro_f1": float("another process works on this sweep" in str(caught.value))}

    settings = SweepSettings(space=["a=1,2"], num_trials=1)
    assert run_search(settings, objective, output_dir=tmp_path).best[0].values == {"macro_f1": 1.0}


def test_unknown_objective_and_endless_grid_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        run_search(SweepSettings(space=["a=1,2"], objectives=["f1"]), _cheap("distance"), output_dir=tmp_path)
    assert str(caught.value) == (
        "sweep.objectives=['f1']: must be some of macro_f1, accuracy, model_size, label_speed, each once"
    )
    with pytest.raises(ConfigError) as caught:
        run_search(SweepSettings(space=["a=0..1"], sampler=Sampler.grid), _cheap("distance"), output_dir=tmp_path)
    assert str(caught.value) == "sweep.sampler=grid needs listed values (KEY=A,B,C) in every entry of sweep.space"
