"""Group `data`: labelled rows, where they are and which columns count."""

from dataclasses import dataclass, field
from pathlib import PurePath

from textlstm.config.checks import (
    MOST_CHARS,
    MOST_ROWS,
    MOST_SEED,
    check_delimiter,
    check_fraction,
    check_positive,
    check_ranges,
    require,
)
from textlstm.config.choices import DataSource, FileFormat, RareLabel

_SPLIT_NAMES = ("train", "training", "validation", "dev", "test", "data", "rows", "")


@dataclass
class DataConfig:
    """Labelled rows: where they are and which columns count."""

    source: DataSource = DataSource.bbc_news
    """bbc_news (packaged articles), files (your own), or hub (the `datasets` library)."""
    train: list[str] = field(default_factory=list)
    """Training files: paths, globs, a folder of class folders, - for standard input. Empty: none."""
    validation: list[str] = field(default_factory=list)
    """Validation files. Empty: a stratified part of train is taken."""
    test: list[str] = field(default_factory=list)
    """Test files. Empty: a stratified part of train is taken (stage evaluate: needed)."""
    unlabelled: list[str] = field(default_factory=list)
    """Files of further texts without labels, which the teacher's answers are learned for. Texts of validation, test and
    training rows are left out, compared by letters and digits alone. Empty: none."""
    name: str = ""
    """Hub dataset name or a `save_to_disk` folder; only for source=hub."""
    config: str = ""
    """Hub dataset configuration; empty means the only one."""
    format: FileFormat = FileFormat.auto
    """File format; auto goes by the file's name (.csv .tsv .jsonl .parquet .txt, also .gz and .zst)."""
    encoding: str = "utf-8"
    """Text encoding of CSV, TSV, JSONL and text files."""
    delimiter: str = ""
    """Character between the cells of CSV and TSV files, such as ; or tab; empty: as their name and header say."""
    text_column: str = "text"
    """Column that holds the text."""
    label_column: str = "label"
    """Column that holds the one label of a row."""
    labels_column: str = ""
    """Column that holds several labels (a list, or text cut by label_separator); not empty means multi-label."""
    label_separator: str = ""
    """Separator of labels inside one text cell; empty means that the cell is a JSON list."""
    id_column: str = ""
    """Column with a unique row id; empty means the row number."""
    weight_column: str = ""
    """Column with the weight of a training or validation row, a number of at least 0; a row of weight 0 is left out.
    Only proportions count. Empty: all rows weigh alike."""
    probabilities_column: str = ""
    """Column with the probability of each label of a training or validation row, as an object such as
    {"sport": 0.8, "tech": 0.2} (in CSV as JSON); with a *, such as p_*, one column a label: p_sport, p_tech.
    A row's label is then its most probable one (several labels: all of at least 1/2); a row without probabilities
    has the label of its label column. Empty: labels are sure."""
    validation_fraction: float = 0.1
    """Part of the training rows taken for validation when no file is given, in (0, 1)."""
    test_fraction: float = 0.2
    """Part of the rows taken for test when no test file is given, in [0, 1); 0 takes none."""
    split_seed: int = 13
    """Seed of the split; the split depends on it and on the texts, never on the order of rows."""
    deduplicate: bool = False
    """Drop training rows whose text occurs earlier, before splitting."""
    drop_leaked: bool = False
    """Drop training rows whose text occurs in validation or test."""
    strict: bool = False
    """Refuse data with test texts that are also in train."""
    rare_label: RareLabel = RareLabel.error
    """A class with one training row: error, drop the row, or keep it."""
    max_classes: int = 10_000
    """More classes than this are refused."""
    max_chars: int = 1_000_000
    """Longer texts are rejected, in characters."""
    max_reject_fraction: float = 0.01
    """More rejected rows than this part of a file refuse the file, in [0, 1]."""
    max_expansion: int = 200
    """Largest ratio of unpacked to packed size of a compressed file."""
    limit: int = 0
    """Read at most this many rows of each split; 0 means all."""
    train_limit: int = 0
    """Train on at most this many rows, taken class by class after splitting; validation and test rows stay as they are.
    A larger limit takes the rows of a smaller one and more. 0 means all."""

    def __post_init__(self) -> None:
        """Check ranges."""
        # The part for validation is never 0; that for test may be.
        check_positive("data.validation_fraction", self.validation_fraction, most=1)
        check_fraction("data.validation_fraction", self.validation_fraction)
        check_delimiter("data.delimiter", self.delimiter)
        check_fraction("data.test_fraction", self.test_fraction)
        check_fraction("data.max_reject_fraction", self.max_reject_fraction, below_one=False)
        check_ranges(
            "data.",
            self,
            split_seed=(0, MOST_SEED),
            max_classes=(2, 1_000_000),
            max_chars=(1, MOST_CHARS),
            max_expansion=(1, 1_000_000),
            limit=(0, MOST_ROWS),
            train_limit=(0, MOST_ROWS),
        )
        # Files beside another source would be ignored without a word.
        if self.source is not DataSource.files:
            given = [key for key in ("train", "validation", "test") if getattr(self, key)]
            require(not given, f"data.{given[0] if given else ''} is only read with data=files; add data=files")
        require(
            self.source is DataSource.files or not self.weight_column,
            "data.weight_column is only read with data=files; add data=files",
        )
        require(
            self.source is DataSource.files or not self.probabilities_column,
            "data.probabilities_column is only read with data=files; add data=files",
        )
        require(
            self.probabilities_column.count("*") < 2 and self.probabilities_column != "*",
            f"data.probabilities_column must be a column or a pattern with one * such as p_*, "
            f"got {self.probabilities_column}",
        )
        if self.source is DataSource.hub:
            require(bool(self.name), "data=hub needs data.name, such as data.name=ag_news")

    @property
    def title(self) -> str:
        """A name of the data for people: that of the source, of the hub's dataset, or of the first training file.

        A file whose name says only its split (`r8/train.jsonl.gz`) is named by its folder.
        """
        if self.source is not DataSource.files:
            return PurePath(self.name).name or str(self.source)
        first = next((name for name in (*self.train, *self.test) if name != "-"), "")
        path = PurePath(first)
        stem = path.name.partition(".")[0]
        return path.parent.name if stem in _SPLIT_NAMES and path.parent.name else stem or str(self.source)
