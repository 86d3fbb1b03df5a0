"""A preparation that is killed, doubled or let down by the disk leaves nothing half-done behind."""

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from textlstm.config import DataConfig, DataSource, TextConfig
from textlstm.corpus.preparation import tokenizing
from textlstm.corpus.preparation.prepare import Phase, Progress, ProgressCallback, prepare_corpus
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.errors import Interrupted, StorageError

NUM_ROWS = 1000
PART_ROWS = 50
ROWS = [
    {"text": f"Row {i} of the corpus says hello, {'again ' * (i % 7)}word{i * i}.", "label": "ab"[i % 2]}
    for i in range(NUM_ROWS)
]

CHILD = """
import json, os, signal, sys
from pathlib import Path
from textlstm.config import DataConfig, DataSource, TextConfig
from textlstm.corpus.preparation import corpus_folder, tokenizing
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.corpus.preparation.prepare import Phase
from textlstm.text import workers

path, prepared_dir, kill_at, part_rows, num_workers = sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:6])
tokenizing.PART_ROWS = part_rows
corpus_folder.code_digest = lambda: "fixed while sources are edited"
workers._SMALL_CHARS = 0  # several processes although the corpus is tiny
points = 0
phases = []

def point():
    global points
    points += 1
    if points == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)

def before(function):
    def counted(*args, **kwargs):
        point()
        return function(*args, **kwargs)
    return counted

os.fsync = before(os.fsync)          # inside the writing of a file: complete, not yet under its name
Path.replace = before(Path.replace)  # just before a name is given

def progress(state):
    phases.append(state.phase.value)
    if state.phase is Phase.waiting:
        print("waiting", file=sys.stderr, flush=True)
    point()

if __name__ == "__main__":
    corpus = prepare_corpus(
        DataConfig(source=DataSource.files, train=[path]), TextConfig(pos=False),
        prepared_dir=prepared_dir, num_workers=num_workers, progress=progress,
    )
    print(json.dumps({"points": points, "reused": corpus.reused, "phases": phases, "name": corpus.directory.name}))
"""


@pytest.fixture
def corpus_path(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def start(
    path: Path, prepared_dir: Path, *, kill_at: int = 0, part_rows: int = PART_ROWS, num_workers: int = 1
) -> subprocess.Popen[str]:
    settings = [str(path), str(prepared_dir), str(kill_at), str(part_rows), str(num_workers)]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *settings], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def kill(path: Path, prepared_dir: Path, *, at: int, num_workers: int = 1) -> None:
    process = start(path, prepared_dir, kill_at=at, num_workers=num_workers)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL


def prepare_here(path: Path, prepared_dir: Path, *, progress: ProgressCallback | None = None) -> PreparedCorpus:
    return prepare_corpus(
        DataConfig(source=DataSource.files, train=[str(path)]),
        TextConfig(pos=False),
        prepared_dir=prepared_dir,
        num_workers=1,
        progress=progress,
    )


def content(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(directory.iterdir())}


def finished(prepared_dir: Path) -> list[Path]:
    return [path for path in prepared_dir.glob("*") if path.name[0] != "."]


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch, one_spacy: None) -> None:
    monkeypatch.setattr(tokenizing, "PART_ROWS", PART_ROWS)


class Whole(NamedTuple):
    """An uninterrupted run, and one that was killed among its parts."""

    path: Path
    num_points: int
    reference: dict[str, bytes]
    killed_dir: Path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    directory = tmp_path_factory.mktemp("whole")
    path = directory / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    result = finish(start(path, directory / "prepared"))
    kill(path, directory / "killed", at=result["points"] // 3)
    return Whole(path, result["points"], content(directory / "prepared" / result["name"]), directory / "killed")


def num_parts(prepared_dir: Path) -> int:
    return len(list(prepared_dir.glob(".work/*/parts/*.arrow")))


def check_rerun(whole: Whole, prepared_dir: Path) -> None:
    """Check that a killed run shows nothing half-done, and that the next one gives the bytes of an uninterrupted one."""
    for directory in finished(prepared_dir):
        assert content(directory) == whole.reference
    corpus = prepare_here(whole.path, prepared_dir)
    assert content(corpus.directory) == whole.reference
    assert list((prepared_dir / ".work").iterdir()) == []


def test_a_killed_preparation_continues_to_the_same_bytes(
    whole: Whole, tmp_path: Path, small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(whole.killed_dir, tmp_path / "killed")
    there = num_parts(tmp_path / "killed")
    written = []
    write_part = tokenizing._write_part
    monkeypatch.setattr(tokenizing, "_write_part", lambda path, *rest: (written.append(path), write_part(path, *rest)))
    check_rerun(whole, tmp_path / "killed")
    assert there >= 3
    assert len(written) == 21 - there  # 720, 80 and 200 rows in parts of 50: 15 + 2 + 4


def test_a_kill_before_the_last_name_is_given_loses_nothing(whole: Whole, tmp_path: Path, small_parts: None) -> None:
    kill(whole.path, tmp_path / "killed", at=whole.num_points - 1)
    assert num_parts(tmp_path / "killed") == 21
    check_rerun(whole, tmp_path / "killed")


def test_the_kill_test_would_see_a_part_that_is_not_whole(whole: Whole, tmp_path: Path, small_parts: None) -> None:
    """Negative control: with a part that a kill left wrong, the comparison fails."""
    shutil.copytree(whole.killed_dir, tmp_path / "killed")
    first, second = sorted(tmp_path.glob("killed/.work/*/parts/*.arrow"))[:2]
    shutil.copyfile(second, first)
    with pytest.raises(AssertionError):
        check_rerun(whole, tmp_path / "killed")


def test_an_interrupted_preparation_ends_at_once_and_continues(whole: Whole, tmp_path: Path, small_parts: None) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.phase is Phase.tokenizing and progress.rows_done > NUM_ROWS // 2:
            raise Interrupted(signal.SIGTERM, "interrupted")

    with pytest.raises(Interrupted):
        prepare_here(whole.path, tmp_path, progress=interrupt)
    assert finished(tmp_path) == []
    assert num_parts(tmp_path) == 11  # the parts of 50 rows up to row 550
    check_rerun(whole, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("num_workers", [1, 2])
@pytest.mark.parametrize("twentieth", range(20))  # the last one is just after the corpus got its name
def test_kills_at_twenty_points(whole: Whole, tmp_path: Path, small_parts, twentieth: int, num_workers: int) -> None:
    kill(whole.path, tmp_path, at=1 + twentieth * (whole.num_points - 1) // 19, num_workers=num_workers)
    check_rerun(whole, tmp_path)


def test_two_at_once_make_one_corpus(corpus_path: Path, tmp_path: Path) -> None:
    processes = [start(corpus_path, tmp_path / "prepared") for _ in range(2)]
    results = [finish(process) for process in processes]
    assert sorted(result["reused"] for result in results) == [False, True]
    assert results[0]["name"] == results[1]["name"]
    assert [path.name for path in finished(tmp_path / "prepared")] == [results[0]["name"]]


def test_the_second_waits_for_the_lock(whole: Whole, tmp_path: Path, small_parts: None) -> None:
    done = prepare_here(whole.path, tmp_path / "other")
    prepared_dir = tmp_path / "prepared"
    lock = prepared_dir / ".locks" / done.directory.name
    lock.parent.mkdir(parents=True)
    with lock.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        process = start(whole.path, prepared_dir)
        assert process.stderr is not None
        assert process.stderr.readline() == "waiting\n"
        shutil.copytree(done.directory, prepared_dir / done.directory.name)
    result = finish(process)
    assert (result["reused"], result["phases"]) == (True, ["waiting"])


@pytest.mark.parametrize(
    "environment",
    [{"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2", "LC_ALL": "C", "TZ": "Asia/Tokyo", "PYTHONUTF8": "0"}],
)
def test_bytes_do_not_depend_on_hash_seed_locale_or_processes(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    name = finish(start(whole.path, tmp_path, num_workers=int(environment["PYTHONHASHSEED"])))["name"]
    assert content(tmp_path / name) == whole.reference


# A disk that fails


@contextmanager
def failing_call(number: int, error: int) -> Iterator[None]:
    """Let the number-th call that writes fail."""
    calls = 0

    def failing(function: Callable[..., Any], *, only_writing: bool = False) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            if not only_writing or args[1:2] in (("wb",), ("ab",)):
                calls += 1
                if calls == number:
                    raise OSError(error, os.strerror(error))
            return function(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", failing(os.fsync))
        patch.setattr(Path, "replace", failing(Path.replace))
        patch.setattr(Path, "mkdir", failing(Path.mkdir))
        patch.setattr(Path, "open", failing(Path.open, only_writing=True))
        yield


def failure_of_call(number: int, path: Path, prepared_dir: Path) -> StorageError | None:
    """Prepare with a failing n-th call; return the error, None where there are fewer calls."""
    error = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO)[number % 4]
    try:
        with failing_call(number, error):
            prepare_here(path, prepared_dir)
    except StorageError as failure:
        return failure
    return None


@pytest.mark.parametrize("step", [6, pytest.param(1, marks=pytest.mark.long)])
def test_a_failing_call_is_a_storage_error_and_the_rerun_works(
    corpus_path: Path, tmp_path: Path, one_spacy: None, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(tokenizing, "PART_ROWS", 800)
    reference = content(prepare_here(corpus_path, tmp_path / "whole").directory)
    for number in range(1, 100, step):
        prepared_dir = tmp_path / f"failing-{number}"
        failure = failure_of_call(number, corpus_path, prepared_dir)
        if failure is None:
            break
        assert len(failure.problems) == 1
        assert ": cannot be written: " in str(failure)
        assert all(content(directory) == reference for directory in finished(prepared_dir))
        assert content(prepare_here(corpus_path, prepared_dir).directory) == reference
        shutil.rmtree(prepared_dir)
    assert 30 < number < 80


def test_a_store_that_cannot_be_made_is_a_storage_error(corpus_path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as error:
        prepare_here(corpus_path, tmp_path / "file" / "prepared")
    assert str(error.value).startswith(f"{tmp_path}/file/prepared/.locks/")
    assert str(error.value).endswith(
        ": cannot be written: Not a directory. A part of its path is a file: choose another folder."
    )


def test_an_old_corpus_survives_a_failed_overwrite(corpus_path: Path, tmp_path: Path, one_spacy: None) -> None:
    corpus = prepare_here(corpus_path, tmp_path / "prepared")
    before = content(corpus.directory)
    with failing_call(6, errno.ENOSPC), pytest.raises(StorageError):
        prepare_corpus(
            DataConfig(source=DataSource.files, train=[str(corpus_path)]),
            TextConfig(pos=False),
            prepared_dir=tmp_path / "prepared",
            num_workers=1,
            overwrite=True,
        )
    assert content(corpus.directory) == before
