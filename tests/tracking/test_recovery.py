"""Which runs are dead."""

import subprocess
import sys

from textlstm.tracking.recovery import ProcessIdentity, is_dead, this_process


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
