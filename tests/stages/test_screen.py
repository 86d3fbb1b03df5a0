"""Progress: a bar for people at a terminal, lines for log files."""

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
