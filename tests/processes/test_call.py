"""A call in a process of its own: results, errors, stops, deaths."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from textlstm.errors import InputError, Interrupted, TextLSTMError
from textlstm.processes.call import BackgroundCall, Message


@pytest.fixture(autouse=True)
def _importable_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child imports the functions of this file."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))


CHILD = "answering_child"


def start(wanted: str, note: Path | None = None) -> BackgroundCall:
    return BackgroundCall(CHILD, Message({"wanted": wanted, "note": str(note)}, {}))


def noted_pid(note: Path) -> int:
    for _ in range(600):
        if note.exists() and note.read_text():
            return int(note.read_text())
        time.sleep(0.05)
    raise AssertionError("the child did not start")


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_the_answer_comes_back_whatever_the_child_prints() -> None:
    arrays = {"many": np.arange(300_000), "one": np.array(7), "none": np.zeros((0, 3), np.float32)}  # more than a pipe
    call = BackgroundCall(CHILD, Message({"wanted": "double", "said": "ü"}, arrays))
    values, found = call.result()
    call.close()
    assert values == {"said": "ü"}
    assert sorted(found) == sorted(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], 2 * array, strict=True)


def test_errors_of_this_package_keep_class_and_problems_and_others_their_traceback() -> None:
    with pytest.raises(InputError) as found:
        start("refuse").result()
    assert found.value.problems == ("line 3: no label", "line 5: no label")
    with pytest.raises(TextLSTMError, match="ZeroDivisionError: one by none"):
        start("break").result()


def test_a_killed_child_is_said(tmp_path: Path) -> None:
    call = start("sleep", tmp_path / "pid")
    os.kill(noted_pid(tmp_path / "pid"), signal.SIGKILL)
    with pytest.raises(TextLSTMError, match=r"answering_child was killed by signal 9 \(SIGKILL\).*memory"):
        call.result()
    call.close()


def test_a_stop_is_heard_at_once_and_ends_the_child(tmp_path: Path) -> None:
    call = start("sleep", tmp_path / "pid")
    child = noted_pid(tmp_path / "pid")
    started = time.monotonic()
    with pytest.raises(Interrupted):
        call.result(stop=lambda: signal.SIGTERM)
    assert time.monotonic() - started < 2
    assert not is_alive(child)


def test_the_child_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from test_call import start; "
        "call = start('sleep', Path(sys.argv[1])); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "pid")])
    child = noted_pid(tmp_path / "pid")
    assert is_alive(child)
    parent.kill()
    parent.wait()
    for _ in range(100):
        if not is_alive(child):
            return
        time.sleep(0.05)
    raise AssertionError("the child lives on")
