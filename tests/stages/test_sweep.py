"""`textlstm sweep` as a script uses it: trials, table, best settings, a parent run with a child a trial; kill -9."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from textlstm.cli import main
from textlstm.config import TrackingConfig
from textlstm.tracking.registry import connect
from textlstm.tracking.store import locate_store

if TYPE_CHECKING:
    from mlflow.entities import Run

pytest.importorskip("optuna")
WORDS = {"sport": ("goal", "match", "coach"), "money": ("bank", "share", "profit")}
SMALL = ("text=fast", "model.hidden_size=8", "model.embedding_size=8", "training.epochs=2", "training.num_threads=1")
SPACE = "sweep.space=['model.hidden_size=4,6,8','training.learning_rate=log(1e-3,1e-1)']"
SECONDS = 240.0


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    """Settings of sweep over 120 short texts of two classes."""
    dice = random.Random(1)
    lines = ["text,label"]
    for number in range(120):
        label = list(WORDS)[number % 2]
        lines.append(f"{' '.join(dice.choices(WORDS[label], k=5))} {number},{label}")
    rows = tmp_path / "rows.csv"
    rows.write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = ["data=files", f"data.train={rows}", f"prepared_dir={tmp_path / 'prepared'}", "num_workers=1"]
    return [*data, *SMALL, SPACE, f"output_dir={tmp_path / 'sweep'}", f"tracking.dir={tmp_path / 'tracking'}"]


def _trials(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep" / "trials.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _runs(folder: Path) -> "list[Run]":
    client = connect(locate_store(TrackingConfig(dir=str(folder / "tracking"))), timeout_seconds=30)
    return list(client.search_runs([client.get_experiment_by_name("textlstm").experiment_id]))


def _children(runs: "list[Run]", parent: "Run") -> list[str]:
    return [r.info.run_name for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]


def test_sweep_leaves_a_table_the_best_settings_and_a_child_a_trial(
    settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", *settings, "sweep.num_trials=3"]) == 0
    trials = _trials(tmp_path)
    assert [trial["state"] for trial in trials] == ["complete"] * 3
    best = next(trial for trial in trials if trial["is_best"] == "yes")
    assert float(best["macro_f1"]) == max(float(trial["macro_f1"]) for trial in trials)
    written = (tmp_path / "sweep" / "best.yaml").read_text(encoding="utf-8")
    assert f"hidden_size: {best['model.hidden_size']}\n" in written
    runs = _runs(tmp_path)
    (parent,) = [run for run in runs if run.info.run_name == "sweep sweep"]
    assert len(_children(runs, parent)) == 3
    assert {run.info.status for run in runs} == {"FINISHED"}
    # Trials are compared by name on the validation rows that they share.
    first, second = _children(runs, parent)[:2]
    capsys.readouterr()
    assert main(["compare", first, second, f"tracking.dir={tmp_path / 'tracking'}"]) == 0
    shown = capsys.readouterr().out
    assert "of 10 validation rows, " in shown
    assert "validation/accuracy" in shown


def _change_the_rows(settings: list[str]) -> None:
    rows = Path(next(setting for setting in settings if setting.startswith("data.train=")).partition("=")[2])
    rows.write_text(rows.read_text(encoding="utf-8").replace("goal", "gaol"), encoding="utf-8")


def test_a_sweep_of_other_rows_or_settings_is_not_continued(
    settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sweep", *settings, "sweep.num_trials=1", "tracking=off"]
    assert main(command) == 0
    table = (tmp_path / "sweep" / "trials.csv").read_bytes()
    # Control: the same command again is done at once, and a larger one goes on.
    assert main(command) == 0
    assert (tmp_path / "sweep" / "trials.csv").read_bytes() == table
    capsys.readouterr()
    folder = tmp_path / "sweep"
    assert main([*command, "seed=2"]) == 2
    assert (
        f"{folder}: holds a sweep, and since then changed: seed was 1, now it is 2; "
        "choose another output_dir or remove this one"
    ) in capsys.readouterr().err
    _change_the_rows(settings)
    assert main(command) == 2
    assert (
        f"{folder}: holds a sweep, and since then changed: the data changed; "
        "choose another output_dir or remove this one"
    ) in capsys.readouterr().err
    assert (tmp_path / "sweep" / "trials.csv").read_bytes() == table


def test_keys_and_values_that_no_trial_can_have_are_refused_before_preparing(
    settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = "sweep.space=['no.such=1,2','training.learning_rate=-1,-2','model.hidden_size=8,16']"
    assert main(["sweep", *settings, space, "tracking=off"]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "sweep.space" in line]
    assert lines[0] == "textlstm: sweep.space: no.such: no such setting"
    assert [line.partition("learning_rate")[0] for line in lines[1:]] == ["textlstm: sweep.space: training."] * 2
    assert not (tmp_path / "prepared").exists()
    assert not (tmp_path / "sweep").exists()


def test_a_value_that_another_searched_one_allows_is_searched() -> None:
    from textlstm.config import SweepConfig, SweepSettings, TextConfig
    from textlstm.errors import ConfigError
    from textlstm.sweeping.space import refuse_impossible

    tags, sizes = "text.pos=true,false", "model.pos_embedding_size=0,8"
    refuse_impossible(SweepConfig(text=TextConfig(pos=False), sweep=SweepSettings(space=[tags, sizes])))
    with pytest.raises(ConfigError) as caught:  # control: without tags there is no such trial
        refuse_impossible(SweepConfig(text=TextConfig(pos=False), sweep=SweepSettings(space=[sizes])))
    assert str(caught.value) == "sweep.space: model.pos_embedding_size needs text.pos=true"


def test_a_sweep_without_a_completed_trial_fails(
    settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_settings: object) -> None:
        raise ValueError("no such luck")

    monkeypatch.setattr("textlstm.stages.sweep.fit_classifier", fail)
    assert main(["sweep", *settings, "sweep.num_trials=2"]) == 1
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith(
            f"{tmp_path / 'sweep'}: none of 2 trials was completed; the first failed with: ValueError: no such luck; "
            "correct the settings and choose another output_dir"
        )
    )
    assert [trial["state"] for trial in _trials(tmp_path)] == ["failed", "failed"]


@pytest.mark.long
def test_sweep_killed_half_way_ends_with_twelve_distinct_trials_in_one_run(settings: list[str], tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "textlstm",
        "sweep",
        *settings,
        "sweep.num_trials=12",
        "sweep.jobs=2",
        "sweep.pruning=false",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + SECONDS
    while len(_trials(tmp_path) if (tmp_path / "sweep" / "trials.csv").exists() else ()) < 6:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = [trial for trial in _trials(tmp_path) if trial["state"] == "complete"]
    assert 6 <= len(before) < 12  # negative control: it was not done
    subprocess.run(command, check=True, timeout=SECONDS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    trials = _trials(tmp_path)
    assert [trial["state"] for trial in trials] == ["complete"] * 12
    assert len({(trial["model.hidden_size"], trial["training.learning_rate"]) for trial in trials}) == 12
    assert {trial["trial"] for trial in before} <= {trial["trial"] for trial in trials}
    runs = _runs(tmp_path)
    (parent,) = [run for run in runs if run.info.run_name == "sweep sweep"]
    assert len(set(_children(runs, parent))) >= 12
