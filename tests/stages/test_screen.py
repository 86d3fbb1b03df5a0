"""Progress: a bar for people at a terminal, lines for log files."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time

import pytest

from textlstm.stages import screen


def test_a_log_file_gets_a_line_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr(screen.time, "monotonic", lambda: now)
    with screen.progress("labelling") as advance:
        for done in range(26):  # one row a second
            advance(1000 * done, 25_000, "1,000 rows/s")
            now += 1.0
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        "labelling: 10,000 of 25,000, 1,000 rows/s, 15 s left",
        "labelling: 20,000 of 25,000, 1,000 rows/s, 5 s left",
    ]
    assert captured.out == ""


def test_the_time_left_is_that_of_the_work_at_hand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(screen.time, "monotonic", lambda: now)
    with screen.progress("batches") as advance:
        for name, seconds in (("first", 1.0), ("refit", 20.0)):  # a second training begins anew, and is slower
            for done in range(1, 13):
                now += seconds
                advance(done, 40, name)
    assert capsys.readouterr().err.splitlines()[:2] == [
        "batches: 10 of 40, first, 30 s left",
        "batches: 1 of 40, refit",  # nothing is known of its speed yet
    ]


def test_no_line_where_the_caller_prints_its_own_or_a_program_listens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(screen, "LINE_SECONDS", 0.0)
    with screen.progress("training", lines=False) as advance:
        advance(1, 2, "")
    heard: list[str] = []
    with screen.heard_by(screen.Listener(heard.append, shows_bars=True)), screen.progress("labelling") as advance:
        advance(1, 2, "")
    assert (capsys.readouterr().err, heard) == ("", [])


PROGRAM = """
import time
from textlstm.stages import screen
with screen.progress("training") as advance:
    for epoch in range(1, 4):
        advance(epoch, 8, "loss 0.863, validation macro-F1 0.8945, accuracy 0.8990, 27,147 tokens/s, and more words")
        time.sleep(0.3)
screen.table("test: 120 rows", ("", "accuracy [95%]", "macro f1 [95%]"), [
    ("LinearSVC (characters 2-5)", "0.9250 [0.8750, 0.9667]", "0.9223 [0.8667, 0.9647]"),
])
screen.say("The model is 0.83 points of accuracy ahead of the TF-IDF baseline; that is within chance (95% interval).")
"""


def shown_on(columns: int) -> str:
    """Return what a program writes on a terminal of so many columns."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-c", PROGRAM]
    process = subprocess.Popen(command, stdout=follower, stderr=follower, env=environment | {"TERM": "xterm"})
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # the program has ended
            break
        if not part:
            break
        shown += part
    os.close(leader)
    assert process.wait(timeout=60) == 0
    return shown.decode()


def test_no_line_is_wrapped_in_eighty_columns_and_the_bar_stays_on_it() -> None:
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown_on(80))
    lines = [line for line in re.split(r"[\r\n]+", shown) if line.strip()]
    assert [line for line in lines if len(line.rstrip()) > 80] == []
    bars = [line for line in lines if "training" in line]
    # Bar, count and time left stand before the remark, which is cut.
    assert any("━" in line and "/8" in line and re.search(r"[-\d]:[-\d]{2}", line) and "…" in line for line in bars)
    # The cells of the table are whole.
    assert any("0.9250 [0.8750, 0.9667] 0.9223 [0.8667, 0.9647]" in re.sub(" +", " ", line) for line in lines)


def test_pipes_get_no_color_codes() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)
    assert b"\x1b" not in done.stdout + done.stderr
    assert "\x1b" in shown_on(80)  # the control: a terminal gets them


def test_a_step_without_news_is_told_again(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(screen, "LINE_SECONDS", 0.05)
    with screen.progress("evaluating", steps=True) as advance:
        advance(1, 6, "scoring 10 rows")
        time.sleep(0.4)
        advance(2, 6, "pictures")  # of steps, only the thread tells
    printed = capsys.readouterr().err.splitlines()
    assert printed[0] == "evaluating: 1 of 6, scoring 10 rows, 0 s so far"
    assert not any("left" in line for line in printed)
    time.sleep(0.2)
    assert capsys.readouterr().err == ""  # the thread ended with the block
