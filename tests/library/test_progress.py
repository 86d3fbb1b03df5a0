"""Bars and remarks of a training inside another program."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from textlstm.stages import screen


@contextmanager
def listening(*, shows_bars: bool) -> Iterator[list[str]]:
    heard: list[str] = []
    with screen.heard_by(screen.Listener(heard.append, shows_bars=shows_bars)):
        yield heard


def bars_shown(monkeypatch: pytest.MonkeyPatch, *, shows_bars: bool) -> bool:
    shown: list[str] = []
    monkeypatch.setattr(screen.Progress, "add_task", lambda self, title, **_: shown.append(title))
    monkeypatch.setattr(screen.Progress, "start", lambda self: None)
    with listening(shows_bars=shows_bars), screen.progress("training"):
        pass
    return bool(shown)


def test_remarks_go_to_the_listener_and_not_to_the_screen(capsys: Any) -> None:
    with listening(shows_bars=False) as heard:
        screen.note("epoch 1")
    screen.note("elsewhere")
    assert heard == ["epoch 1"]
    assert capsys.readouterr().err == "elsewhere\n"


def test_a_bar_is_shown_in_terminals_and_notebooks_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not bars_shown(monkeypatch, shows_bars=True), "stderr is a file here"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert bars_shown(monkeypatch, shows_bars=True)
    assert not bars_shown(monkeypatch, shows_bars=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr(screen, "find_spec", lambda name: object())
    assert bars_shown(monkeypatch, shows_bars=True)
    monkeypatch.setattr(screen, "find_spec", lambda name: None)
    assert not bars_shown(monkeypatch, shows_bars=True), "without ipywidgets a notebook has no bar"
