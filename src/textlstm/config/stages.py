"""The stages that make and judge a model: prepare, train, evaluate, run."""

from dataclasses import dataclass, field, replace
from typing import TypeVar

from textlstm.config.auto import AUTO_SETTINGS, POS_SETTINGS, TEXT_SETTINGS
from textlstm.config.checks import MOST_SEED, MOST_WORKERS, check_folder, check_local, check_ranges, require
from textlstm.config.choices import Device, Engine, ExportFormat, ExportPrecision, Sampler
from textlstm.config.data import DataConfig
from textlstm.config.evaluation import EvaluationConfig
from textlstm.config.labelling import LabellingConfig
from textlstm.config.model import ModelConfig
from textlstm.config.text import TextConfig
from textlstm.config.tracking import TrackingConfig
from textlstm.config.training import TrainingConfig

# The stage doctor.


@dataclass
class DoctorConfig:
    """`textlstm doctor`: say what is missing or wrong here."""

    model_dir: str = ""
    """A model folder to check as well. Empty: none."""
    tracking: TrackingConfig = field(default_factory=TrackingConfig)


@dataclass
class InfoConfig:
    """`textlstm info`: what a saved model is."""

    model_dir: str = "outputs/model"
    """Model folder, or a registry address such as models:/textlstm@champion."""
    tracking: TrackingConfig = field(default_factory=TrackingConfig)


# Group `explain` and the stage of that name.


@dataclass
class ExplainSettings:
    """What is explained, and how much of it is shown."""

    text: str = ""
    """One text to explain; or give input."""
    text_column: str = ""
    """Column of input that holds the text; empty means the one the model was trained with."""
    max_texts: int = 50
    """Texts of input that the page shows one by one, from the first on."""
    sample_texts: int = 300
    """Texts of input behind the views over many texts and the deletion curves; at least max_texts are read."""
    faithfulness: bool = True
    """Measure how faithful each attribution method is (deletion curves)."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_ranges("explain.", self, max_texts=(1, 100_000), sample_texts=(1, 1_000_000))


@dataclass
class ExplainConfig:
    """`textlstm explain`: one page that shows gates and attributions of some texts."""

    model_dir: str = "outputs/model"
    """Model folder, or a registry address such as models:/textlstm@champion."""
    input: list[str] = field(default_factory=list)
    """Files, globs or a folder of texts to explain."""
    output: str = "outputs/explanation.html"
    """The page."""
    explain: ExplainSettings = field(default_factory=ExplainSettings)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    device: Device = Device.auto
    """auto, cpu or cuda."""
    overwrite: bool = True
    """Replace an existing page."""

    def __post_init__(self) -> None:
        """Refuse an address."""
        check_local("output", self.output)


# The stage that writes a model for another runtime.


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

    def __post_init__(self) -> None:
        """Refuse an address."""
        check_local("output_dir", self.output_dir)


@dataclass
class PrepareConfig:
    """`textlstm prepare`: read, check, split, tokenize, tag, filter, store."""

    data: DataConfig = field(default_factory=DataConfig)
    text: TextConfig = field(default_factory=TextConfig)
    prepared_dir: str = "data/prepared"
    """Folder of prepared corpora, each under the digest of its data and settings."""
    num_workers: int = 0
    """Preparation processes; 0 means one a core."""
    engine: Engine = Engine.local
    """Where texts are tokenized and the trials of a sweep run: local (this machine) or ray (a cluster; extra `ray`)."""
    overwrite: bool = False
    """Prepare again even when the corpus is in the store."""
    auto: list[str] = field(default_factory=lambda: list(TEXT_SETTINGS))
    """Settings that are chosen by data and time; a setting with a value of yours leaves the list."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_folder("prepared_dir", self.prepared_dir)
        check_ranges("", self, num_workers=(0, MOST_WORKERS))
        # A misspelled key would otherwise stay without effect.
        unknown = [key for key in self.auto if key not in AUTO_SETTINGS]
        require(not unknown, f"auto: no setting {', '.join(unknown)} can be auto; {', '.join(AUTO_SETTINGS)} can")


@dataclass
class TrainConfig(PrepareConfig):
    """`textlstm train`: prepare, fit, pick the best epoch, calibrate, save."""

    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    output_dir: str = "outputs/model"
    """Folder of the saved model; an unfinished training of the same settings in it is continued."""
    teacher: str = ""
    """Who says how probable each label of the training rows and of data.unlabelled is: a file of such answers, or
    hf:NAME_OR_FOLDER, a transformer that is fine-tuned on the training rows (extra `teacher`). Empty: nobody."""
    seed: int = 1
    """Seed of the weights, the order of batches and dropout."""
    seeds: int = 1
    """Trainings with this many seeds, from `seed` on: mean and standard deviation are printed, and the model in the
    middle by its validation figure is kept."""
    overwrite: bool = False
    """Replace a finished model in output_dir, or start anew after a change of settings."""
    auto: list[str] = field(default_factory=lambda: list(AUTO_SETTINGS))
    """Settings that are chosen by data and time; a setting with a value of yours leaves the list."""

    def __post_init__(self) -> None:
        """Check what spans groups."""
        PrepareConfig.__post_init__(self)
        check_local("output_dir", self.output_dir)
        check_ranges("", self, seed=(0, MOST_SEED), seeds=(1, 1000))
        require(
            self.model.pos_embedding_size == 0 or self.text.pos,
            "model.pos_embedding_size needs text.pos=true",
        )
        require(
            bool(self.teacher) or self.training.distil or not self.data.unlabelled,
            "data.unlabelled needs a teacher that answers for these rows; set teacher=FILE, teacher=hf:FOLDER or "
            "training.distil=true",
        )
        require(
            not (self.teacher and self.training.distil),
            "teacher and training.distil are two teachers; set one of them",
        )


def with_one_network(config: TrainConfig) -> TrainConfig:
    """Return the settings of a training of one network that no others teach: where unlabelled rows are is left out."""
    training = replace(config.training, num_models=1, distil=False)
    return replace(config, data=replace(config.data, unlabelled=[]), training=training)


Preparing = TypeVar("Preparing", bound=PrepareConfig)


def with_needed_pos(config: Preparing) -> Preparing:
    """Return `config` with text.pos=auto resolved.

    `textlstm prepare` tags: its data card shows parts of speech. The stages that train tag where another setting reads
    parts of speech; where text.pos=false was typed, no setting that reads them is left to choose.
    """
    if "text.pos" not in config.auto:
        without = () if config.text.pos else POS_SETTINGS
        return replace(config, auto=[key for key in config.auto if key not in without])
    # In a training tags are needed by the filters of the text, or by a network that reads them.
    reads_pos = not isinstance(config, TrainConfig) or config.model.pos_embedding_size > 0
    needed = bool(config.text.keep_pos or config.text.drop_pos or reads_pos)
    auto = [key for key in config.auto if key != "text.pos"]
    return replace(config, text=replace(config.text, pos=needed), auto=auto)


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

    def __post_init__(self) -> None:
        """Check ranges."""
        check_local("output_dir", self.output_dir)
        check_folder("prepared_dir", self.prepared_dir)
        check_ranges("", self, num_workers=(0, MOST_WORKERS))


@dataclass
class RunConfig(TrainConfig):
    """`textlstm run`: prepare, train, evaluate and label in one go."""

    labelling: LabellingConfig = field(default_factory=LabellingConfig)
    output_dir: str = "outputs/run"
    """Folder of the model, the evaluation and the labelled test rows."""
    overwrite: bool = True
    """Replace the results of an earlier run in output_dir."""


# Group `sweep` and the stage of that name.


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
    """Validation figures to optimize: macro_f1, accuracy, model_size (bytes), label_speed (rows/s)."""
    pruning: bool = True
    """Stop trials early whose epochs fall behind the median (single objective only)."""
    seed: int = 0
    """Seed of the proposals."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_ranges("sweep.", self, num_trials=(1, 100_000), jobs=(1, MOST_WORKERS), seed=(0, MOST_SEED))


@dataclass
class SweepConfig(TrainConfig):
    """`textlstm sweep`: search settings."""

    sweep: SweepSettings = field(default_factory=SweepSettings)
    output_dir: str = "outputs/sweep"
    """Folder of the sweep's journal, results table and best config."""

    def __post_init__(self) -> None:
        """Check what spans groups."""
        TrainConfig.__post_init__(self)
        require(
            not (self.teacher or self.training.distil),
            "teacher and training.distil are not used in a sweep; search without them, then train with them",
        )
        require(self.seeds == 1, f"seeds must be 1 in a sweep, whose trials have one seed each, got {self.seeds}")


# Group `curve` and the stage of that name.


@dataclass
class CurveSettings:
    """The sizes of the training data that a learning curve is drawn through."""

    points: int = 5
    """Numbers of training rows: all, a half, a quarter and so on, as many as this."""
    fewest: int = 4
    """Sizes with fewer training rows a class than this are left out."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_ranges("curve.", self, points=(2, 20), fewest=(1, 1_000_000))


@dataclass
class CurveConfig(TrainConfig):
    """`textlstm curve`: accuracy over the number of training rows, and what more rows would bring."""

    curve: CurveSettings = field(default_factory=CurveSettings)
    output_dir: str = "outputs/curve"
    """Folder of curve.json, curve.svg, and a model and an evaluation a number of rows."""
    overwrite: bool = True
    """Replace an earlier curve in output_dir."""

    def __post_init__(self) -> None:
        """Check what spans groups."""
        TrainConfig.__post_init__(self)
        require(self.seeds == 1, f"seeds must be 1 in a curve, whose sizes have one seed each, got {self.seeds}")
