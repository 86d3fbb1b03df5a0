"""F1: kill -9 at any moment; the same command goes on, and the bytes are those of an undisturbed run."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from io_faults import Action, faulty_store, kill_at

from textlstm.storage.stores import LocalStore

NUM_ROWS = 120
FORMATS = ("csv", "jsonl", "parquet")


def write_input(directory: Path, format: str, *, num_rows: int = NUM_ROWS) -> str:
    """Write rows of which every 40th is rejected where the format allows; return the file's name."""
    path = directory / f"in.{format}"
    if format == "csv":
        lines = [f'{n},"text {n}\n{"x" * (n % 50)}"' if n % 40 else f"{n},a,b" for n in range(num_rows)]
        path.write_text("id,text\n" + "\n".join(lines) + "\n")
    elif format == "jsonl":
        rows = [{"id": n, "text": f"text {n} {'x' * (n % 50)}" if n % 40 else n} for n in range(num_rows)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        texts = [f"text {n} {'x' * (n % 50)}".encode() if n % 40 else b"\xff" for n in range(num_rows)]
        text = pa.array(texts, pa.binary()).view(pa.string())  # which is no UTF-8 in every 40th row
        pq.write_table(pa.table({"id": range(num_rows), "text": text}), path, row_group_size=25)
    return path.name


def run_in_child(run, name: str, output: str, action: Action) -> bool:
    """Label in a forked process with `action` on its stores; say whether it lived."""
    child = os.fork()
    if child == 0:
        try:
            with faulty_store(action):
                run(name, output)
        except BaseException:
            os._exit(7)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), f"the job ended with {code}"
    return code == 0


def check_absent_or_complete(path: Path, expected: bytes) -> None:
    if path.exists():
        assert path.read_bytes() == expected, f"{path.name} is there but not complete"


class Disturbed:
    """One job that is killed again and again, and compared with an undisturbed one."""

    def __init__(self, tmp_path: Path, run, format: str, *, num_rows: int = NUM_ROWS) -> None:
        self._run = run
        self._name = write_input(tmp_path, format, num_rows=num_rows)
        self.num_rows = num_rows
        self.summary = run(self._name, f"calm.{format}")
        self._calm = tmp_path / f"calm.{format}"
        self._wild = tmp_path / f"wild.{format}"
        self.num_kills = 0

    def attempt(self, action: Action) -> bool:
        """Run once with `action`; check what can be seen; say whether the job came to its end."""
        finished = run_in_child(self._run, self._name, self._wild.name, action)
        self.num_kills += not finished
        check_absent_or_complete(self._wild, self._calm.read_bytes())
        return finished

    def check_finished(self) -> None:
        rejects = ".rejects.jsonl"
        assert self._wild.read_bytes() == self._calm.read_bytes()
        assert Path(f"{self._wild}{rejects}").read_bytes() == Path(f"{self._calm}{rejects}").read_bytes()
        manifest = json.loads(Path(f"{self._wild}.manifest.json").read_bytes())
        assert manifest["output"]["num_rows"] + manifest["output"]["num_rejects"] == self.num_rows
        assert not Path(f"{self._wild}.work").exists()


@pytest.mark.parametrize("format", FORMATS)
def test_killed_jobs_go_on_to_the_same_bytes(tmp_path: Path, run, format: str) -> None:
    job = Disturbed(tmp_path, run, format, num_rows=30)
    for at in (3, 17, 18, 29):
        assert not job.attempt(kill_at(at))
    assert job.attempt(kill_at(10**9))
    job.check_finished()
    assert job.num_kills == 4


@pytest.mark.parametrize("format", ["csv", *(pytest.param(name, marks=pytest.mark.long) for name in FORMATS[1:])])
def test_kills_at_every_operation_of_the_final_commit(tmp_path: Path, run, format: str) -> None:
    job = Disturbed(tmp_path, run, format, num_rows=6)
    assert not job.attempt(kill_at(1, operation="replace", ending=".manifest.json"))
    for at in count(1):
        if job.attempt(kill_at(at)):
            break
    job.check_finished()
    assert job.num_kills > 12


def test_the_check_sees_a_writer_without_rename(tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: the same kills over a stores that writes in place."""

    @contextmanager
    def create_in_place(self: LocalStore, name: str, *, scratch: str) -> Iterator[object]:

        path = Path(self.address(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            yield stream

    job = Disturbed(tmp_path, run, "csv", num_rows=6)
    monkeypatch.setattr(LocalStore, "create", create_in_place)
    with pytest.raises(AssertionError, match=r"wild\.csv is there but not complete"):
        job.attempt(kill_at(2, operation="write", ending="wild.csv"))


def test_a_killed_parent_of_workers_goes_on(tmp_path: Path, run) -> None:
    job = Disturbed(tmp_path, run, "csv", num_rows=300)
    kills = kill_parent_on_progress(tmp_path, "in.csv", "wild.csv", shards=(2, 30))
    assert kills == 2
    job.check_finished()


def num_done(work: Path) -> int:
    """Count finished shards; the job may rename or remove the folder while it is looked at."""
    try:
        return len(list(work.glob("*/*.done")))
    except FileNotFoundError:
        return 0


def kill_parent_on_progress(directory: Path, name: str, output: str, *, shards: tuple[int, ...]) -> int:
    """Start the command with two workers; kill -9 the parent alone when so many shards are done; then let it finish."""
    work = directory / f"{output}.work"
    kills = 0
    for wanted in (*shards, 10**9):
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "job.py"), str(directory), name, output]
        )
        while process.poll() is None:
            if num_done(work) >= wanted:
                process.kill()
                process.wait()
                kills += 1
                break
            time.sleep(0.002)
        else:
            assert process.returncode == 0
    return kills


@pytest.mark.long
@pytest.mark.parametrize("format", FORMATS)
def test_a_hundred_kills_at_random_operations(tmp_path: Path, run, format: str) -> None:
    job = Disturbed(tmp_path, run, format, num_rows=2400)
    draw = random.Random(7)
    while not job.attempt(kill_at(draw.randint(1, 130) if job.num_kills < 100 else 10**9)):
        pass
    job.check_finished()
    assert job.num_kills == 100


@pytest.mark.long
@pytest.mark.parametrize("format", FORMATS)
def test_thirty_kills_inside_the_writing_of_a_part(tmp_path: Path, run, format: str) -> None:
    job = Disturbed(tmp_path, run, format, num_rows=NUM_ROWS)
    draw = random.Random(8)
    while not job.attempt(kill_at(draw.randint(1, 9) if job.num_kills < 30 else 10**9, operation="write")):
        pass
    job.check_finished()
    assert job.num_kills == 30


@pytest.mark.long
def test_workers_and_parent_killed_thirty_times(tmp_path: Path, run) -> None:
    job = Disturbed(tmp_path, run, "jsonl", num_rows=3000)
    kills = kill_parent_on_progress(tmp_path, "in.jsonl", "wild.jsonl", shards=tuple(range(10, 910, 30)))
    assert kills == 30
    job.check_finished()
