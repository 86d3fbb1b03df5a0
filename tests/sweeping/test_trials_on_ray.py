"""A sweep whose trials run on a Ray cluster has the journal of one that runs here, whoever dies."""

import importlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from textlstm.config import Sampler, SweepSettings
from textlstm.sweeping.ray_trials import run_on_ray
from textlstm.sweeping.search import run_search
from textlstm.sweeping.trials import TrialState

pytest.importorskip("optuna")
ray = pytest.importorskip("ray", reason="Ray is not installed (extra 'ray')")
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A cluster of this machine alone whose workers find the objectives."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE))
        ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, configure_logging=False, address="local")
        yield
        ray.shutdown()


@pytest.fixture(autouse=True)
def _objectives_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))


def _cheap(name: str):
    return getattr(importlib.import_module("cheap_objective"), name)


def _without_times(journal: Path) -> list[tuple[str, ...]]:
    """The rows of the table without the column of seconds."""
    rows = [line.split(",") for line in (journal / "trials.csv").read_text(encoding="utf-8").splitlines()]
    place = rows[0].index("seconds")
    return [tuple(row[:place] + row[place + 1 :]) for row in rows]


@pytest.mark.long
def test_trials_on_ray_are_those_of_this_machine(tmp_path: Path, cluster: None) -> None:
    settings = SweepSettings(space=["a=1..100", "b=0..1"], num_trials=9, pruning=True, seed=3)
    here = run_search(settings, _cheap("distance"), output_dir=tmp_path / "here")
    there = run_search(settings, partial(run_on_ray, _cheap("distance")), output_dir=tmp_path / "there")
    assert [trial.overrides for trial in there.trials] == [trial.overrides for trial in here.trials]
    assert TrialState.pruned in {trial.state for trial in here.trials}
    assert _without_times(tmp_path / "there") == _without_times(tmp_path / "here")
    assert (tmp_path / "there" / "best.yaml").read_bytes() == (tmp_path / "here" / "best.yaml").read_bytes()


@pytest.mark.long
def test_trials_side_by_side_join_one_cluster(tmp_path: Path, cluster: None) -> None:
    settings = SweepSettings(space=["a=1,2,3,4"], sampler=Sampler.grid, num_trials=4, jobs=2, pruning=False)
    with importlib.import_module("textlstm.processes.ray_cluster").ray_cluster():
        found = run_search(settings, partial(run_on_ray, _cheap("distance")), output_dir=tmp_path)
    assert sorted(trial.overrides for trial in found.trials) == [("a=1",), ("a=2",), ("a=3",), ("a=4",)]
    assert found.best[0].overrides == ("a=3",)


@pytest.mark.long
def test_a_trial_whose_worker_dies_is_run_again_once(tmp_path: Path, cluster: None) -> None:
    settings = SweepSettings(space=["a=2,3"], sampler=Sampler.grid, num_trials=2, pruning=False)
    # The worker of a = 3 dies once; that of a = 2 dies each time.
    found = run_search(
        settings, partial(run_on_ray, partial(_cheap("mortal"), str(tmp_path))), output_dir=tmp_path / "s"
    )
    dead, alive = found.trials
    assert dead.state is TrialState.failed
    assert dead.error.startswith("a Ray worker died 2 times in this trial: ")
    assert (alive.state, alive.values["macro_f1"]) == (TrialState.complete, 1.0)
    assert (tmp_path / "starts").read_text().split() == ["2", "2", "3", "3"]


@pytest.mark.long
def test_what_a_trial_raises_is_told_as_here(tmp_path: Path, cluster: None) -> None:
    settings = SweepSettings(space=["a=1,3"], sampler=Sampler.grid, num_trials=2, pruning=False)
    found = run_search(settings, partial(run_on_ray, _cheap("troubled")), output_dir=tmp_path)
    assert [(trial.state, trial.error) for trial in found.trials] == [
        (TrialState.failed, "ValueError: no such luck"),
        (TrialState.complete, ""),
    ]
