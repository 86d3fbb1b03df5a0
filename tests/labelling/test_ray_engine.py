"""F13 and the promise that the engine does not show: Ray gives the bytes of the local engine, whoever dies."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from textlstm.config import Engine
from textlstm.labelling.journal import Journal
from textlstm.storage.stores import LocalStore

ray = pytest.importorskip("ray", reason="Ray is not installed (extra 'ray')")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cluster of this machine alone whose workers find the fake model."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False, address="local")
    yield
    ray.shutdown()


def write_rows(directory: Path, num_rows: int) -> None:
    (directory / "in.jsonl").write_text("".join(f'{{"text": "row {n}"}}\n' for n in range(num_rows)) + '{"text": 1}\n')


def test_ray_with_two_actors_gives_the_bytes_of_the_local_engine(tmp_path: Path, run, cluster: None) -> None:
    write_rows(tmp_path, 40)
    run("in.jsonl", "local.jsonl")
    summary = run("in.jsonl", "ray.jsonl", engine=Engine.ray, num_workers=2)
    assert (tmp_path / "ray.jsonl").read_bytes() == (tmp_path / "local.jsonl").read_bytes()
    assert (tmp_path / "ray.jsonl.rejects.jsonl").read_bytes() == (tmp_path / "local.jsonl.rejects.jsonl").read_bytes()
    assert (summary.num_rows, summary.num_rejects, summary.num_workers) == (40, 1, 2)


@pytest.mark.long
def test_a_killed_actor_and_a_doubled_task_do_not_show(tmp_path: Path, run, cluster: None) -> None:
    write_rows(tmp_path, 3000)
    run("in.jsonl", "local.jsonl")
    work = tmp_path / "ray.jsonl.work"
    killed = []

    def kill_one() -> None:
        for wanted in (20, 200, 500):
            while len(list(work.glob("*/*.done"))) < wanted:
                time.sleep(0.002)
            processes = psutil.Process().children(recursive=True)
            actors = [process for process in processes if "ShardActor" in " ".join(process.cmdline())]
            actors[0].send_signal(signal.SIGKILL)
            killed.append(actors[0].pid)

    watcher = threading.Thread(target=kill_one, daemon=True)
    watcher.start()
    run("in.jsonl", "ray.jsonl", engine=Engine.ray, num_workers=3)
    watcher.join(timeout=10)
    assert len(killed) == 3
    assert (tmp_path / "ray.jsonl").read_bytes() == (tmp_path / "local.jsonl").read_bytes()


def test_a_shard_done_twice_at_once_gives_one_part(tmp_path: Path, run) -> None:
    """What Ray does when it thinks that a slow task is lost, without Ray."""
    journal = Journal(LocalStore(str(tmp_path)), "work", scratch="scratch")
    with journal.part(0) as first, journal.part(0) as second:
        first.write(b"rows")
        second.write(b"rows")
    assert (tmp_path / "work" / "00000000.part").read_bytes() == b"rows"
    assert list((tmp_path / "scratch").iterdir()) == []
