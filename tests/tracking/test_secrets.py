"""Secrets are masked before anything is written."""

import pytest

from textlstm.tracking.secrets import Redactor


def test_userinfo_and_tokens_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_TOKEN", "canary-token-123456")
    monkeypatch.setenv("DB_PASSWORD", "canary-token-123456-longer")
    redactor = Redactor()
    data = {"uri": "http://me:pw@host/x", "list": ["a canary-token-123456-longer b", 3], "canary-token-123456": None}
    assert redactor.data(data) == {"uri": "http://***@host/x", "list": ["a *** b", 3], "***": None}


def test_ordinary_text_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHORT_TOKEN", "the")
    monkeypatch.setenv("TOKEN_FILE", "/run/secrets")
    assert Redactor().text("the mail a@b.c and the folder /run/secrets") == "the mail a@b.c and the folder /run/secrets"
