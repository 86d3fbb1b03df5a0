"""The stage that writes a model for another runtime."""

from dataclasses import dataclass, field

from textlstm.config.choices import ExportFormat, ExportPrecision
from textlstm.config.tracking import TrackingConfig


@dataclass
class ExportConfig:
    """`textlstm export`: a model folder whose networks run without torch."""

    model_dir: str = "outputs/model"
    """Model folder, or a registry address such as models:/textlstm@champion."""
    output_dir: str = "outputs/exported"
    """Folder of the exported model."""
    format: ExportFormat = ExportFormat.onnx
    """onnx (extra `onnx`)."""
    precision: ExportPrecision = ExportPrecision.fp32
    """fp32 must give the probabilities of torch to 1e-5; int8 is smaller, and how often it agrees is reported."""
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    overwrite: bool = False
    """Replace what is in output_dir."""
