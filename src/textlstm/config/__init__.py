"""The only schema of every setting: names, types, defaults, ranges. Standard library only.

A file a group of settings, beside it the stages that have no other home; everything is imported from here. The literal
string under a field is its documentation: `textlstm STAGE --help=all` and the docs pages print it. Choices (named
sets of values) live in `conf/` as YAML; nothing in a config file can name code.
"""

from textlstm.config.auto import AUTO, AUTO_SETTINGS, TEXT_SETTINGS, remaining_auto
from textlstm.config.choices import (
    DataSource,
    Device,
    Encoder,
    Engine,
    ExportFormat,
    ExportPrecision,
    FileFormat,
    Imbalance,
    Pooling,
    Precision,
    Quality,
    RareLabel,
    Sampler,
    Schedule,
    Tagger,
    Task,
    TrainingPrecision,
)
from textlstm.config.corrections import MergeConfig, ReviewConfig
from textlstm.config.data import DataConfig
from textlstm.config.evaluation import EvaluationConfig
from textlstm.config.labelling import EARLY_EXIT, LabelConfig, LabellingConfig, ReplayConfig, TraceConfig
from textlstm.config.model import ModelConfig
from textlstm.config.stages import (
    CurveConfig,
    CurveSettings,
    DoctorConfig,
    EvaluateConfig,
    ExplainConfig,
    ExplainSettings,
    ExportConfig,
    InfoConfig,
    PrepareConfig,
    RunConfig,
    SweepConfig,
    SweepSettings,
    TrainConfig,
    with_needed_pos,
    with_one_network,
)
from textlstm.config.text import TextConfig
from textlstm.config.tracking import (
    CompareConfig,
    DashboardConfig,
    PromoteConfig,
    ServeConfig,
    SyncConfig,
    TrackingConfig,
)
from textlstm.config.training import TrainingConfig

__all__ = [
    "AUTO",
    "AUTO_SETTINGS",
    "EARLY_EXIT",
    "TEXT_SETTINGS",
    "CompareConfig",
    "CurveConfig",
    "CurveSettings",
    "DashboardConfig",
    "DataConfig",
    "DataSource",
    "Device",
    "DoctorConfig",
    "Encoder",
    "Engine",
    "EvaluateConfig",
    "EvaluationConfig",
    "ExplainConfig",
    "ExplainSettings",
    "ExportConfig",
    "ExportFormat",
    "ExportPrecision",
    "FileFormat",
    "Imbalance",
    "InfoConfig",
    "LabelConfig",
    "LabellingConfig",
    "MergeConfig",
    "ModelConfig",
    "Pooling",
    "Precision",
    "PrepareConfig",
    "PromoteConfig",
    "Quality",
    "RareLabel",
    "ReplayConfig",
    "ReviewConfig",
    "RunConfig",
    "Sampler",
    "Schedule",
    "ServeConfig",
    "SweepConfig",
    "SweepSettings",
    "SyncConfig",
    "Tagger",
    "Task",
    "TextConfig",
    "TraceConfig",
    "TrackingConfig",
    "TrainConfig",
    "TrainingConfig",
    "TrainingPrecision",
    "remaining_auto",
    "with_needed_pos",
    "with_one_network",
]
