"""The stage doctor."""

from dataclasses import dataclass, field

from textlstm.config.tracking import TrackingConfig


@dataclass
class DoctorConfig:
    """`textlstm doctor`: say what is missing or wrong here."""

    model_dir: str = ""
    """A model folder to check as well. Empty: none."""
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
