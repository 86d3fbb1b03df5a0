"""Which code a run was made with: commit, uncommitted changes, lock file."""

import subprocess
from pathlib import Path
from typing import NamedTuple

from textlstm.tracking.journal import file_digest

_GIT_SECONDS = 5.0
_LOCK_NAME = "requirements.lock"
_CODE = ("src", "conf", "pyproject.toml", _LOCK_NAME)  # other files may hold texts of rows


class SourceState(NamedTuple):
    """The code at the start of a run; empty strings where there is no git or no lock file."""

    commit: str
    diff: str
    """Uncommitted changes of code and settings, as a patch."""
    lock_digest: str
    """sha256 of requirements.lock."""


def read_source_state() -> SourceState:
    """Return the state of the checkout that this package runs from; an installed wheel has none."""
    root = Path(__file__).resolve().parents[3]
    lock = root / _LOCK_NAME
    lock_digest = file_digest(lock) if lock.is_file() else ""
    if not (root / ".git").exists():
        return SourceState("", "", lock_digest)
    return SourceState(_git(root, "rev-parse", "HEAD").strip(), _git(root, "diff", "HEAD", "--", *_CODE), lock_digest)


def _git(root: Path, *arguments: str) -> str:
    try:
        result = subprocess.run(  # noqa: S603
            ["git", "-C", str(root), "--no-optional-locks", *arguments],  # noqa: S607  (the user's git)
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.decode("utf-8", "replace") if result.returncode == 0 else ""
