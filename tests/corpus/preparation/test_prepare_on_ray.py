"""A corpus prepared on a Ray cluster has the bytes of one prepared here, whoever dies."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from textlstm.config import DataConfig, DataSource, Engine, TextConfig
from textlstm.corpus.preparation.prepare import Phase, Progress, prepare_corpus
from textlstm.errors import TextLSTMError
from textlstm.text import ray_workers

ray = pytest.importorskip("ray", reason="Ray is not installed (extra 'ray')")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A cluster of this machine alone."""
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, configure_logging=False, address="local")
    yield
    ray.shutdown()


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows_file(folder: Path, num_rows: int) -> Path:
    path = folder / "rows.jsonl"
    rows = (
        {"text": f"row{n} of the many rows: {'filler ' * (n % 12)} {n}", "label": "ab"[n % 2]} for n in range(num_rows)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def prepare(path: Path, store: Path, *, engine: Engine, num_workers: int = 0, progress=None):
    data = DataConfig(source=DataSource.files, train=[str(path)])
    text = TextConfig(pos=False, stop_words="remove")
    return prepare_corpus(data, text, prepared_dir=store, num_workers=num_workers, engine=engine, progress=progress)


@pytest.mark.long
@pytest.mark.parametrize("num_workers", [2, 3])
def test_ray_gives_the_bytes_of_this_machine(tmp_path: Path, cluster: None, num_workers: int) -> None:
    path = rows_file(tmp_path, 6000)
    local = prepare(path, tmp_path / "local", engine=Engine.local, num_workers=1)
    on_ray = prepare(path, tmp_path / "ray", engine=Engine.ray, num_workers=num_workers)
    assert files_of(on_ray.directory) == files_of(local.directory)
    assert on_ray.key == local.key


@pytest.mark.long
def test_a_killed_worker_does_not_show(tmp_path: Path, cluster: None) -> None:
    path = rows_file(tmp_path, 30_000)
    killed: list[int] = []

    def kill_one(state: Progress) -> None:
        if state.phase is Phase.tokenizing and state.rows_done and not killed:
            killed.append(kill_a_worker())

    on_ray = prepare(path, tmp_path / "ray", engine=Engine.ray, progress=kill_one)
    assert killed
    local = prepare(path, tmp_path / "local", engine=Engine.local, num_workers=1)
    assert files_of(on_ray.directory) == files_of(local.directory)


@pytest.mark.long
def test_workers_that_die_again_and_again_end_the_preparation(
    tmp_path: Path, cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = rows_file(tmp_path, 30_000)
    over = threading.Event()

    def kill_all() -> None:
        while not over.is_set():
            kill_a_worker()
            time.sleep(0.01)

    killer = threading.Thread(target=kill_all, daemon=True)
    killer.start()
    try:
        with pytest.raises(TextLSTMError, match="a Ray worker died 2 times on the same work"):
            prepare(path, tmp_path / "ray", engine=Engine.ray)
    finally:
        over.set()
        killer.join()
    assert not [path for path in (tmp_path / "ray").iterdir() if not path.name.startswith(".")]


def kill_a_worker() -> int:
    """Kill a worker of this process's cluster that is at a block; return its process id, 0 where there is none."""
    name = ray_workers.prepare_block.__name__
    for process in psutil.Process().children(recursive=True):
        try:
            if name in " ".join(process.cmdline()):
                process.send_signal(signal.SIGKILL)
                return process.pid
        except psutil.Error:
            continue
    return 0
