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
        "labelling: 10,000 of 25,000, 1,000 rows/s",
        "labelling: 20,000 of 25,000, 1,000 rows/s",
    ]
    assert captured.out == ""


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
