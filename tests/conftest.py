"""Fixtures that several rooms share."""

import os
import socket
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def corpora_dir() -> Path:
    """Folder of the real corpora; may not exist."""
    return Path(os.environ.get("TEXTLSTM_CORPORA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Real corpora, or a skip that says why."""
    folder = corpora_dir()
    if not folder.is_dir():
        pytest.skip(f"no corpora at {folder}; set TEXTLSTM_CORPORA")
    return folder


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reaches beyond this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0]) if isinstance(address, tuple) else str(address)
            if not (host.startswith("127.") or host in ("::1", "localhost", "0.0.0.0")):
                raise OSError(f"a test tried to reach {host}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
