"""Group `sweep` and the stage of that name."""

from dataclasses import dataclass, field

from textlstm.config.checks import check_at_least
from textlstm.config.choices import Sampler
from textlstm.config.pipeline import TrainConfig


@dataclass
class SweepSettings:
    """How a search over settings goes."""

    space: list[str] = field(default_factory=list)
    """What to search, each KEY=CHOICES: `model.hidden_size=64,128`, or `training.learning_rate=log(1e-3,1e-2)`."""
    sampler: Sampler = Sampler.tpe
    """tpe, random or grid."""
    num_trials: int = 12
    """Trials in all; a restarted sweep counts those already done."""
    jobs: int = 1
    """Trials at the same time."""
    objectives: list[str] = field(default_factory=lambda: ["macro_f1"])
    """Validation figures to optimise: macro_f1, accuracy, model_size (bytes), label_speed (rows/s)."""
    pruning: bool = True
    """Stop trials early whose epochs fall behind the median (single objective only)."""
    seed: int = 0
    """Seed of the proposals."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_at_least("sweep.num_trials", self.num_trials, 1)
        check_at_least("sweep.jobs", self.jobs, 1)


@dataclass
class SweepConfig(TrainConfig):
    """`textlstm sweep`: search settings."""

    sweep: SweepSettings = field(default_factory=SweepSettings)
    output_dir: str = "outputs/sweep"
    """Folder of the sweep's journal, results table and best config."""
