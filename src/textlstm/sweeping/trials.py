"""The interface of a trial: its objective, its reports, its outcome."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class TrialState(StrEnum):
    """The end of a trial."""

    complete = "complete"
    pruned = "pruned"
    failed = "failed"


class Pruned(Exception):  # noqa: N818  (a decision, not an error)
    """Raised by `report` inside a trial that falls behind; the objective lets it pass."""


Report = Callable[[int, float], None]
"""report(epoch, value of the first objective); raises Pruned."""
Objective = Callable[[list[str], Report], dict[str, float]]
"""objective(overrides, report) returns figures by name, those of `sweep.objectives` among them.

With more than one job it runs in a fresh process, so it must be a module's function (or a partial of one).
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an objective's run."""

    state: TrialState
    values: dict[str, float] = field(default_factory=dict)
    error: str = ""
    """One line: why it failed."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One finished trial."""

    number: int
    """From 0, in the order of proposals."""
    state: TrialState
    overrides: tuple[str, ...]
    """KEY=VALUE of each searched key."""
    values: dict[str, float]
    """Figures of the objectives, empty unless complete."""
    error: str
    seconds: float
