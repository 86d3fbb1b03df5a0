"""Group `labelling`, and the stages that label files and tell where a label came from."""

import math
from dataclasses import dataclass, field

from textlstm.config.checks import (
    MOST_CHARS,
    MOST_ROWS,
    MOST_WORKERS,
    check_delimiter,
    check_fraction,
    check_local,
    check_ranges,
    require,
)
from textlstm.config.choices import Device, Engine, FileFormat, Precision
from textlstm.config.tracking import TrackingConfig

EARLY_EXIT = 0.001
"""Part of the rows that may get another label than from the whole model, where nothing else is set."""


@dataclass
class LabellingConfig:
    """How a labelling job reads, works and writes."""

    format: FileFormat = FileFormat.auto
    """Input format; auto goes by the file's name; stdin needs one."""
    output_format: FileFormat = FileFormat.auto
    """Output format; auto goes by the output's name, else that of the input."""
    encoding: str = "utf-8"
    """Text encoding of the input."""
    delimiter: str = ""
    """Character between the cells of CSV and TSV, inputs and output, such as ; or tab; empty: inputs as their name and
    header say, the output as its name says."""
    decimal_comma: bool = False
    """Write the numbers of CSV and TSV outputs with a comma, as 0,98."""
    source_column: str = ""
    """Name of an added column with the input that a row comes from; empty: no such column."""
    text_column: str = ""
    """Column that holds the text; empty means the one the model was trained with."""
    label_name: str = "predicted_label"
    """Name of the added column with the label."""
    probability_name: str = "probability"
    """Name of the added column with the label's probability."""
    decision_name: str = "decision"
    """Name of the added column: accepted, abstained, empty or rejected. Empty: no such column."""
    top_k: int = 0
    """Add the k most probable labels with their probabilities; 0 means none."""
    all_probabilities: bool = False
    """Add one column a class with its probability."""
    explanation: bool = False
    """Add the words without which the label's probability falls most; slower by as many times as texts have words."""
    empty_label: str = ""
    """Label of rows without text."""
    abstain_label: str = ""
    """Label written for rows under the model's threshold; empty keeps the most probable one."""
    excel_safe: bool = False
    """Prefix cells that a spreadsheet would run as formulas by an apostrophe."""
    max_chars: int = 1_000_000
    """Longer texts are rejected, in characters."""
    max_reject_fraction: float = 0.01
    """More rejected rows than this part of the input end the job, in [0, 1]."""
    shard_rows: int = 5_000
    """Rows of one shard, the unit that is done once and kept when the job is interrupted; at a file's end, fewer."""
    append: bool = False
    """Keep the labels of an output that is there already, by the same model; only new or changed texts are labelled."""
    num_workers: int = 0
    """Processes; 0 means one a core. Small inputs run in the main process."""
    device: Device = Device.auto
    """auto (the CPU cores), cpu, or cuda: the processes prepare texts, and one more a GPU computes the networks."""
    precision: Precision = Precision.fp32
    """fp32 or bf16 matrix products."""
    early_exit: str = str(EARLY_EXIT)
    """Part of the rows that may get another label because the networks are left out where the linear expert is sure
    enough, in (0, 1); off: the networks read every row."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_ranges(
            "labelling.",
            self,
            max_chars=(1, MOST_CHARS),
            shard_rows=(1, 10_000_000),
            top_k=(0, 1_000_000),
            num_workers=(0, MOST_WORKERS),
        )
        check_delimiter("labelling.delimiter", self.delimiter)
        check_fraction("labelling.max_reject_fraction", self.max_reject_fraction, below_one=False)
        require(
            self.early_exit == "off" or 0 < _number(self.early_exit) < 1,
            f"labelling.early_exit must be off or in (0, 1), got {self.early_exit}",
        )
        # An empty name leaves its column out, so only given names can collide.
        names = [self.label_name, self.probability_name, self.decision_name, self.source_column]
        names = [name for name in names if name]
        for key in ("label_name", "probability_name"):
            require(bool(getattr(self, key)), f"labelling.{key} must not be empty")
        require(len(set(names)) == len(names), "labelling: the names of added columns must differ")

    @property
    def early_exit_rate(self) -> float:
        """Part of the rows that may get another label; 0 where the networks read every row."""
        return 0.0 if self.early_exit == "off" else float(self.early_exit)


def _number(text: str) -> float:
    """Return the number that `text` is; nan where it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


@dataclass
class LabelConfig:
    """`textlstm label`: label a file, files, a folder or a stream."""

    model_dir: str = "outputs/model"
    """Model folder, or a registry address such as models:/textlstm@champion."""
    input: list[str] = field(default_factory=list)
    """Files, globs or a folder; - means standard input."""
    output: str = ""
    """Labelled file; FOLDER/ means one file for each input, under its name; - means standard output."""
    engine: Engine = Engine.local
    """local (all cores of this machine) or ray (a cluster; extra `ray`)."""
    labelling: LabellingConfig = field(default_factory=LabellingConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    overwrite: bool = False
    """Replace an existing output, or start anew after a change of input, model or settings."""
    dry_run: bool = False
    """Say what would be labelled and about how long it would take, and write nothing."""
    quiet: bool = False
    """No progress and no summary on the screen, only warnings and errors; also --quiet."""
    json: bool = False
    """Print the summary as one JSON object on standard output; also --json."""
    log_file: str = ""
    """File to which progress, summary and errors are added, each line with its time; also --log-file FILE."""

    def __post_init__(self) -> None:
        """Refuse two things on standard output."""
        require(
            not (self.json and self.output == "-"), "json=true and output=- both write to standard output; name a file"
        )
        check_local("log_file", self.log_file)


@dataclass
class TraceConfig:
    """`textlstm trace`: tell where a label came from."""

    output: str = ""
    """A labelled file, its manifest beside it."""
    row: int = 1
    """Row of that file; 1 is the first data row."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_ranges("", self, row=(1, MOST_ROWS))


@dataclass
class ReplayConfig(TraceConfig):
    """`textlstm replay`: compute a label again and compare."""

    model_dir: str = ""
    """Folder of the model that labelled the file; empty means where it was then."""
