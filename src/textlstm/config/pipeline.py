"""The stages that make and judge a model: prepare, train, evaluate, run."""

from dataclasses import dataclass, field

from textlstm.config.checks import check_at_least, require
from textlstm.config.choices import Device
from textlstm.config.data import DataConfig
from textlstm.config.evaluation import EvaluationConfig
from textlstm.config.labelling import LabellingConfig
from textlstm.config.model import ModelConfig
from textlstm.config.text import TextConfig
from textlstm.config.tracking import TrackingConfig
from textlstm.config.training import TrainingConfig


@dataclass
class PrepareConfig:
    """`textlstm prepare`: read, check, split, tokenise, tag, filter, store."""

    data: DataConfig = field(default_factory=DataConfig)
    text: TextConfig = field(default_factory=TextConfig)
    prepared_dir: str = "data/prepared"
    """Folder of prepared corpora, each under the digest of its data and settings."""
    num_workers: int = 0
    """Preparation processes; 0 means one a core."""
    overwrite: bool = False
    """Prepare again even when the corpus is in the store."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_at_least("num_workers", self.num_workers, 0)


@dataclass
class TrainConfig(PrepareConfig):
    """`textlstm train`: prepare, fit, pick the best epoch, calibrate, save."""

    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    output_dir: str = "outputs/model"
    """Folder of the saved model; an unfinished training of the same settings in it is continued."""
    seed: int = 1
    """Seed of the weights, the order of batches and dropout."""
    overwrite: bool = False
    """Replace a finished model in output_dir, or start anew after a change of settings."""

    def __post_init__(self) -> None:
        """Check what spans groups."""
        PrepareConfig.__post_init__(self)
        require(
            self.model.pos_embedding_size == 0 or self.text.pos,
            "model.pos_embedding_size needs text.pos=true",
        )


@dataclass
class EvaluateConfig:
    """`textlstm evaluate`: score a model folder on labelled rows."""

    model_dir: str = "outputs/model"
    """Model folder, or a registry address such as models:/textlstm@champion."""
    data: DataConfig = field(default_factory=DataConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    output_dir: str = "outputs/evaluation"
    """Folder of metrics.json, predictions, figures and report."""
    prepared_dir: str = "data/prepared"
    """Folder of prepared corpora."""
    num_workers: int = 0
    """Preparation processes; 0 means one a core."""
    device: Device = Device.auto
    """auto, cpu or cuda."""
    overwrite: bool = False
    """Replace an earlier evaluation in output_dir."""


@dataclass
class RunConfig(TrainConfig):
    """`textlstm run`: prepare, train, evaluate and label in one go."""

    labelling: LabellingConfig = field(default_factory=LabellingConfig)
    output_dir: str = "outputs/run"
    """Folder of the model, the evaluation and the labelled test rows."""
    overwrite: bool = True
    """Replace the results of an earlier run in output_dir."""
