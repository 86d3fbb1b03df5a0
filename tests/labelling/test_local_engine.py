"""F8: workers that are killed or stopped, errors that cross the process border, signals."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from textlstm.errors import StorageError, TextLSTMError
from textlstm.labelling.engines import local, start
from textlstm.labelling.engines.local import WorkerProcess

JOB = str(Path(__file__).parent / "job.py")


@pytest.fixture
def in_workers(monkeypatch: pytest.MonkeyPatch) -> list[WorkerProcess]:
    """Have even small inputs done by worker processes; give the list of all that were started."""
    monkeypatch.setattr(start, "INLINE_BYTES", 0)
    started: list[WorkerProcess] = []

    class Recorded(WorkerProcess):
        def __init__(self, job: object) -> None:
            super().__init__(job)  # type: ignore[arg-type]
            started.append(self)

    monkeypatch.setattr(local, "WorkerProcess", Recorded)
    return started


def write_rows(directory: Path, num_rows: int = 600) -> None:
    (directory / "in.csv").write_text("text\n" + "".join(f"row {n}\n" for n in range(num_rows)))


def when(condition: Callable[[], bool], action: Callable[[], None]) -> threading.Thread:
    """Run `action` in a thread as soon as `condition` holds."""

    def watch() -> None:
        while not condition():
            time.sleep(0.001)
        action()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def busy(workers: list[WorkerProcess], number: int) -> bool:
    return len(workers) > number and workers[number].task is not None


def test_bytes_do_not_depend_on_the_number_of_workers(tmp_path: Path, run, in_workers) -> None:
    write_rows(tmp_path)
    for count in (1, 3):
        run("in.csv", f"out{count}.csv", num_workers=count, shard_rows=50)
    start.INLINE_BYTES = 10**9
    run("in.csv", "inline.csv")
    assert len(in_workers) == 4
    outputs = {(tmp_path / name).read_bytes() for name in ("out1.csv", "out3.csv", "inline.csv")}
    assert len(outputs) == 1


def test_one_killed_worker_is_replaced(tmp_path: Path, run, in_workers) -> None:
    write_rows(tmp_path)
    when(lambda: busy(in_workers, 0), lambda: os.kill(in_workers[0].pid, signal.SIGKILL))
    summary = run("in.csv", "out.csv", num_workers=1, shard_rows=10)
    assert (summary.num_rows, len(in_workers)) == (600, 2)


def test_a_shard_that_costs_two_workers_ends_the_job_and_is_named(tmp_path: Path, run, in_workers) -> None:
    write_rows(tmp_path)
    for number in (0, 1):
        when(lambda n=number: busy(in_workers, n), lambda n=number: os.kill(in_workers[n].pid, signal.SIGKILL))
    with pytest.raises(TextLSTMError) as ended:
        run("in.csv", "out.csv", num_workers=1, shard_rows=600)
    assert ended.value.problems == (
        f"{tmp_path}/in.csv: shard 0 (rows 1 to 600) cost 2 workers; the last one was killed by signal 9 "
        "(out of memory?); finished shards are kept, run the same command to go on",
    )
    assert run("in.csv", "out.csv", num_workers=1, shard_rows=600).num_rows == 600


def test_a_stopped_worker_is_replaced(tmp_path: Path, run, in_workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "SILENCE_SECONDS", 4.0)
    write_rows(tmp_path)
    when(lambda: busy(in_workers, 0), lambda: os.kill(in_workers[0].pid, signal.SIGSTOP))
    summary = run("in.csv", "out.csv", num_workers=1, shard_rows=10)
    assert (summary.num_rows, len(in_workers)) == (600, 2)


def test_silence_is_noticed_within_half_a_minute_even_twice() -> None:
    """Two stopped workers in a row cost 2 x SILENCE_SECONDS and a start; a test that waited for it would be slow."""
    assert local.ATTEMPTS * local.SILENCE_SECONDS + 5 < 30


@pytest.mark.long
def test_a_shard_whose_workers_are_stopped_ends_the_job_within_30_seconds(tmp_path: Path, run, in_workers) -> None:
    write_rows(tmp_path)
    for number in (0, 1):
        when(lambda n=number: busy(in_workers, n), lambda n=number: os.kill(in_workers[n].pid, signal.SIGSTOP))
    started = time.monotonic()
    with pytest.raises(TextLSTMError, match=r"shard 0 \(rows 1 to 600\) cost 2 workers; the last one said nothing"):
        run("in.csv", "out.csv", num_workers=1, shard_rows=600)
    assert time.monotonic() - started < 30


def test_errors_of_a_worker_keep_their_class(tmp_path: Path, run, in_workers, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(tmp_path)
    real_assign = WorkerProcess.assign

    def assign(self: WorkerProcess, task: object, *, journal: str) -> None:
        (tmp_path / journal).parent.mkdir(exist_ok=True)
        (tmp_path / journal).write_text("a file where the folder of parts should be")
        real_assign(self, task, journal=journal)  # type: ignore[arg-type]

    monkeypatch.setattr(WorkerProcess, "assign", assign)
    with pytest.raises(StorageError) as failed:
        run("in.csv", "out.csv", num_workers=1)
    assert len(failed.value.problems) == 1
    assert ": cannot be written: " in failed.value.problems[0]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.long)]
)
def test_signals_stop_cleanly_and_the_same_command_goes_on(tmp_path: Path, run, number: int, code: int) -> None:
    write_rows(tmp_path)
    (tmp_path / "model").mkdir(exist_ok=True)
    command = [sys.executable, JOB, str(tmp_path), "in.csv", "out.csv"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while len(list(tmp_path.glob("out.csv.work/*/*.done"))) < 5:
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(number)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == code
    kept = re.fullmatch(r"interrupted: (\d+) of [\d,]+ rows are kept; the same command goes on\n", errors)
    assert kept is not None
    assert int(kept[1]) >= 15  # five shards of three rows
    assert not (tmp_path / "out.csv").exists()
    assert subprocess.run(command, check=True).returncode == 0
    run("in.csv", "calm.csv")
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "calm.csv").read_bytes()
