"""How far a training is: plain data that goes into a checkpoint and comes back."""

from dataclasses import asdict, dataclass, field
from typing import Any

from textlstm.training.reports import EpochReport


@dataclass(slots=True)
class Progress:
    """Position, history and sums; the only mutable state of a training beside its tensors."""

    epoch: int = 0
    """Number of the current epoch, 0 for the first."""
    batch: int = 0
    """Number of the next batch of the epoch."""
    step: int = 0
    """Steps done in all epochs."""
    rows: int = 0
    """Rows of the epoch that were trained on."""
    tokens: int = 0
    """Tokens of the epoch that were trained on."""
    cells: int = 0
    """The same with padding."""
    seconds: float = 0.0
    """Time of the steps of the epoch."""
    pieces: int = 1
    """Parts in which a batch is computed; doubled when memory runs out."""
    best_epoch: int = 0
    """Number of the best epoch, 1 for the first; 0 means none yet."""
    history: list[EpochReport] = field(default_factory=list)
    total_tokens: int = 0
    total_cells: int = 0
    total_seconds: float = 0.0
    events: list[str] = field(default_factory=list)

    @property
    def stale_epochs(self) -> int:
        """Epochs since the best one."""
        return self.epoch - self.best_epoch

    @property
    def best(self) -> EpochReport | None:
        """The report of the best epoch so far."""
        return self.history[self.best_epoch - 1] if self.best_epoch else None

    def end_epoch(self, report: EpochReport) -> None:
        """Note the report of the epoch and go to the start of the next."""
        self.history.append(report)
        if report.is_best:
            self.best_epoch = report.epoch
        self.total_tokens += self.tokens
        self.total_cells += self.cells
        self.total_seconds += self.seconds
        self.epoch += 1
        self.batch = self.rows = self.tokens = self.cells = 0
        self.seconds = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Progress":
        """Return what `to_json` was made from."""
        return cls(**{**data, "history": [EpochReport(**report) for report in data["history"]]})
