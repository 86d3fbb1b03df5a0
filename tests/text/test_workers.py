import gc
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import textlstm
from textlstm.config import TextConfig
from textlstm.errors import IntegrityError, TextLSTMError
from textlstm.processes.worker_group import WorkerGroup
from textlstm.text import workers
from textlstm.text.fingerprint import TextFingerprint
from textlstm.text.messages import encode_settings
from textlstm.text.pipeline import TextPipeline
from textlstm.text.workers import prepare_in_processes, start_workers_early

PLAIN = TextConfig(pos=False)


def _blocks(num_blocks, num_texts=20):
    return [[f"Text {block} {number}: don't, re-do it!" for number in range(num_texts)] for block in range(num_blocks)]


def _endless_blocks():
    return itertools.cycle(_blocks(3))


@pytest.fixture(autouse=True)
def workers_for_any_size(monkeypatch):
    monkeypatch.setattr(workers, "_SMALL_CHARS", 0)
    monkeypatch.setattr(workers, "_SMALL_CHARS_POS", 0)


def _starters():
    return [child for child in psutil.Process().children() if "textlstm.text.worker_main" in child.cmdline()]


def _workers():
    return [worker for starter in _starters() for worker in starter.children()]


@pytest.mark.parametrize("pos", [False, True])
def test_workers_give_what_one_process_gives_in_order(pos):
    config = TextConfig(pos=pos)
    blocks = [*_blocks(7), [], ["", "lone \ud800 surrogate"], *_blocks(2)]
    pipeline = TextPipeline(config)
    expected = [pipeline.prepare(block) for block in blocks]
    found = list(prepare_in_processes(config, blocks, num_workers=2))
    assert [part.tokens for part in found] == [part.tokens for part in expected]
    assert [part.offsets.tolist() for part in found] == [part.offsets.tolist() for part in expected]
    assert [part.num_removed.tolist() for part in found] == [part.num_removed.tolist() for part in expected]
    assert [None if part.pos is None else part.pos.tolist() for part in found] == [
        None if part.pos is None else part.pos.tolist() for part in expected
    ]
    assert _starters() == []


@pytest.mark.parametrize("num_workers", [1, 2])
def test_the_description_is_heard_once_before_the_first_result(num_workers):
    config = TextConfig(language="is", stop_words="keep")
    heard = []
    results = prepare_in_processes(config, _blocks(6), num_workers=num_workers, on_ready=heard.append)
    next(results)
    assert heard == [TextPipeline(config).description]
    list(results)
    assert len(heard) == 1


def test_small_inputs_start_no_worker(monkeypatch):
    monkeypatch.setattr(workers, "_SMALL_CHARS", 10_000_000)
    monkeypatch.setattr(workers, "WorkerGroup", None)
    assert len(list(prepare_in_processes(PLAIN, _blocks(3), num_workers=2))) == 3


def test_one_worker_is_this_process(monkeypatch):
    monkeypatch.setattr(workers, "WorkerGroup", None)
    assert len(list(prepare_in_processes(PLAIN, _blocks(3), num_workers=1))) == 3


def test_no_blocks_give_no_results():
    assert list(prepare_in_processes(PLAIN, [], num_workers=2)) == []


def test_blocks_are_read_only_a_few_ahead():
    num_read = 0

    def blocks():
        nonlocal num_read
        for block in _blocks(200, num_texts=2):
            num_read += 1
            yield block

    results = prepare_in_processes(PLAIN, blocks(), num_workers=2)
    next(results)
    assert num_read <= 10
    results.close()
    assert _starters() == []


def test_a_killed_worker_ends_the_job_naming_the_block():
    results = prepare_in_processes(PLAIN, _endless_blocks(), num_workers=2)
    next(results)
    victim = _workers()[0]
    os.kill(victim.pid, signal.SIGKILL)
    start = time.monotonic()
    with pytest.raises(TextLSTMError) as caught:
        list(results)
    assert time.monotonic() - start < 10
    assert re.fullmatch(
        rf"text worker [12] of 2 \(process {victim.pid}\) was killed by signal 9 \(SIGKILL\) while preparing "
        r"(no block|block \d+ \(from text \d+ on\)); if the machine ran out of memory, run again with fewer workers",
        str(caught.value),
    )
    assert _starters() == []


def test_a_stopped_worker_ends_the_job_naming_the_block(monkeypatch):
    monkeypatch.setattr(workers, "PATIENCE_SECONDS", 4.0)
    results = prepare_in_processes(PLAIN, _endless_blocks(), num_workers=2)
    next(results)
    victim = _workers()[0]
    os.kill(victim.pid, signal.SIGSTOP)
    start = time.monotonic()
    with pytest.raises(TextLSTMError) as caught:
        list(results)
    assert time.monotonic() - start < 10
    assert re.fullmatch(
        rf"text worker [12] of 2 \(process {victim.pid}\) has shown no sign of life for 4 s while preparing "
        r"block \d+ \(from text \d+ on\); it may be stopped or the machine out of memory: run again, perhaps with "
        r"fewer workers",
        str(caught.value),
    )
    assert _starters() == []


def test_patience_is_shorter_than_the_promised_half_minute():
    assert workers.PATIENCE_SECONDS == 20.0


def test_a_slow_consumer_is_no_reason_to_give_up(monkeypatch):
    monkeypatch.setattr(workers, "PATIENCE_SECONDS", 2.0)
    num_results = 0
    for _ in prepare_in_processes(PLAIN, _blocks(6), num_workers=2):
        num_results += 1
        time.sleep(2.5 if num_results == 2 else 0)
    assert num_results == 6


def test_an_error_of_a_worker_is_raised_here():
    saved = TextFingerprint("3.8.18", "en_other", "9.9", "en", False, (), "none", "ab", 1)
    with pytest.raises(IntegrityError) as caught:
        list(prepare_in_processes(PLAIN, _blocks(3), num_workers=2, saved=saved))
    assert caught.value.problems == (
        "the model was made with spaCy model en_other 9.9, but here is no spaCy model for 'en'; "
        "install spaCy model en_other 9.9 or train again",
    )
    assert _starters() == []


def test_workers_end_when_the_main_process_is_gone():
    program = (
        "import os, signal, itertools\n"
        "from textlstm.config import TextConfig\n"
        "from textlstm.text import workers\n"
        "workers._SMALL_CHARS = 0\n"
        "for _ in workers.prepare_in_processes(TextConfig(pos=False), itertools.cycle([['a b']]), num_workers=2):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    before = {process.pid for process in psutil.process_iter()}
    environment = os.environ | {"PYTHONPATH": str(Path(textlstm.__file__).parents[1])}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == -signal.SIGKILL
    orphans = [
        process
        for process in psutil.process_iter(["cmdline"])
        if process.pid not in before and "textlstm.text.worker_main" in (process.info["cmdline"] or [])
    ]
    _, alive = psutil.wait_procs(orphans, timeout=15)
    assert alive == []


def test_workers_ahead_load_while_nothing_is_asked_of_them(monkeypatch):
    monkeypatch.setattr(workers, "_SMALL_CHARS", 1000)
    with start_workers_early(PLAIN, num_workers=2, num_bytes=1000) as group:
        assert len(_starters()) == 1
        time.sleep(2.5)
        blocks = _blocks(5)
        found = list(prepare_in_processes(PLAIN, blocks, num_workers=2, group=group))
        assert [part.tokens for part in found] == [TextPipeline(PLAIN).prepare(block).tokens for block in blocks]
    assert _starters() == []


def test_a_crew_that_is_gone_closes_no_file_of_others():
    group = WorkerGroup(encode_settings(PLAIN, None), 1, module=workers.WORKER_MODULE)
    group.close()
    descriptors = [end for _ in range(10) for end in os.pipe()]  # takes the numbers that the group had
    del group
    gc.collect()
    try:
        assert all(os.fstat(descriptor) for descriptor in descriptors)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


@pytest.mark.parametrize(("num_workers", "num_bytes"), [(1, 1000), (2, 999)])
def test_no_workers_ahead_of_small_inputs_or_for_one_process(monkeypatch, num_workers, num_bytes):
    monkeypatch.setattr(workers, "_SMALL_CHARS", 1000)
    with start_workers_early(PLAIN, num_workers=num_workers, num_bytes=num_bytes) as group:
        assert group is None
        assert _starters() == []


def test_workers_ahead_end_with_an_error_while_they_load():
    with pytest.raises(ZeroDivisionError), start_workers_early(PLAIN, num_workers=2, num_bytes=10):
        raise ZeroDivisionError
    assert _starters() == []


def test_a_killed_starter_ends_the_job():
    results = prepare_in_processes(PLAIN, _endless_blocks(), num_workers=2)
    next(results)
    [starter] = _starters()
    os.kill(starter.pid, signal.SIGKILL)
    with pytest.raises(TextLSTMError) as caught:
        list(results)
    assert caught.value.problems == (
        f"the starter of text workers (process {starter.pid}) was killed by signal 9 (SIGKILL); if the machine ran out "
        "of memory, run again with fewer workers",
    )
    assert _starters() == []
