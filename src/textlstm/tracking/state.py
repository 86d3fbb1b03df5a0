"""How far the sending of a journal has come; kept in a small file that is replaced as a whole."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(slots=True)
class SendState:
    """What the store has confirmed of one journal."""

    run_id: str = ""
    """MLflow run id; empty until the store has created the run."""
    experiment_id: str = ""
    offset: int = 0
    """Bytes of the journal whose events are confirmed, or set aside."""
    set_aside: list[int] = field(default_factory=list)
    """Ends (byte offsets) of events that failed for a passing reason and are tried again."""
    refused: dict[str, str] = field(default_factory=dict)
    """Events that the store will never take: end offset and reason."""
    model_version: str = ""
    """Version in the registry that the run registered."""
    is_champion: bool = False
    """Whether that version got the alias `champion`."""
    last_error: str = ""
    """Why the sending stopped last time; empty while it works."""
    num_failures: int = 0
    """Failed requests in a row."""
    closed: bool = False
    """The last confirmed event is the end of the run."""

    def is_complete(self, journal: Path) -> bool:
        """Return whether the run has ended and all of its `journal` is confirmed."""
        return self.closed and not self.set_aside and self.offset == journal.stat().st_size


def load_state(path: Path) -> SendState:
    """Return the state at `path`; a file that is absent or unreadable means that nothing is confirmed."""
    try:
        return SendState(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return SendState()


def save_state(path: Path, state: SendState) -> None:
    """Replace the state at `path`."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(asdict(state)), encoding="utf-8")
    temporary.replace(path)
