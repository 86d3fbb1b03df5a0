"""Which runs are dead."""

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from textlstm.cli import main
from textlstm.config import TrackingConfig
from textlstm.tracking.outbox import EventKind, JournalPaths, JournalWriter, new_key
from textlstm.tracking.recovery import ProcessIdentity, is_dead, sync_journals, this_process
from textlstm.tracking.secrets import Redactor
from textlstm.tracking.store import locate_store

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


def test_this_process_lives() -> None:
    assert not is_dead(this_process(), seconds_silent=1e9)


def test_ended_process_is_dead() -> None:
    command = [sys.executable, "-c", "from textlstm.tracking.recovery import this_process as t; print(*t(), sep='\\n')"]
    machine, pid, started = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split("\n")[:3]
    assert is_dead(ProcessIdentity(machine, int(pid), float(started)), seconds_silent=0)


def test_pid_used_again_is_dead() -> None:
    here = this_process()
    assert is_dead(here._replace(started=here.started - 100), seconds_silent=0)


def test_earlier_boot_of_this_machine_is_dead() -> None:
    here = this_process()
    host, _, namespace = here.machine.split("|")
    assert is_dead(here._replace(machine=f"{host}|another-boot|{namespace}"), seconds_silent=0)


def test_other_machine_counts_by_its_silence() -> None:
    elsewhere = this_process()._replace(machine="elsewhere|boot|namespace")
    assert not is_dead(elsewhere, seconds_silent=3500)
    assert is_dead(elsewhere, seconds_silent=3700)


SURROGATE = "m\udcc3\udcbc3"
"""The name `mü3` as a path is read where LC_ALL=C."""


def _journal(config: TrackingConfig, name: str, *, experiment: str = "textlstm") -> JournalPaths:
    """Write the journal of a run that ended while nothing was sent."""
    store = locate_store(config)
    paths = JournalPaths(store.journal_dir, new_key())
    opening = {
        "experiment": experiment,
        "run_name": name,
        "tags": {"where": name},
        "uri": store.public_uri,
        "process": this_process()._asdict(),
    }
    with JournalWriter(paths, redactor=Redactor()) as journal:
        journal.append(EventKind.open, opening)
        journal.append(EventKind.params, {"values": {"output_dir": name}})
        journal.append(EventKind.close, {"status": "FINISHED"})
    return paths


def test_a_run_with_a_name_that_is_no_utf8_is_sent(config: TrackingConfig, client: "MlflowClient") -> None:
    _journal(config, SURROGATE)
    [synced] = sync_journals(config)
    assert (synced.state.last_error, synced.state.refused) == ("", {})
    run = client.get_run(synced.state.run_id)
    assert (run.info.run_name, run.data.params) == ("m\\udcc3\\udcbc3", {"output_dir": "m\\udcc3\\udcbc3"})


def test_runs_of_a_deleted_experiment_name_the_cure_and_can_be_set_aside(
    config: TrackingConfig, client: "MlflowClient", capsys: pytest.CaptureFixture[str]
) -> None:
    number = client.create_experiment("old")
    client.delete_experiment(number)
    paths = _journal(config, "waiting", experiment="old")
    where = f"tracking.dir={config.dir}"
    assert main(["sync", where]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"textlstm: {paths.key}: not confirmed by MLflow: the experiment 'old' was deleted in MLflow; restore it with "
        f"`mlflow experiments restore --experiment-id {number}`, or set the run aside",
        f"textlstm: mend the cause, or set these runs aside: textlstm sync drop={paths.key}",
    ]
    assert main(["sync", where, "drop=20200101-000000-00000000"]) == 2  # control: nothing of that name
    assert main(["sync", where, f"drop={paths.key}"]) == 0
    assert main(["sync", where]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == "nothing was waiting"
    assert (paths.directory / "set-aside" / paths.journal.name).is_file()


@pytest.mark.parametrize("command", [("sync",), ("compare", "a", "b"), ("dashboard",)])
def test_stages_that_show_a_deleted_experiment_name_the_cure(
    command: tuple[str, ...], config: TrackingConfig, client: "MlflowClient", capsys: pytest.CaptureFixture[str]
) -> None:
    number = client.create_experiment("old")
    client.delete_experiment(number)
    assert main([*command, f"tracking.dir={config.dir}", "tracking.experiment=old"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"textlstm: the experiment 'old' was deleted in MLflow; restore it with `mlflow experiments restore "
        f"--experiment-id {number}`, or set another tracking.experiment",
    ]


def test_a_run_of_a_restored_experiment_is_sent(config: TrackingConfig, client: "MlflowClient") -> None:  # control
    number = client.create_experiment("old")
    client.delete_experiment(number)
    _journal(config, "waiting", experiment="old")
    [synced] = sync_journals(config)
    assert synced.state.is_lasting
    client.restore_experiment(number)
    [synced] = sync_journals(config)
    assert (synced.state.last_error, synced.state.closed) == ("", True)
    assert client.get_run(synced.state.run_id).info.experiment_id == number
