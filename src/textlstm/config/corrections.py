"""The stages that bring corrections back: `review` and `merge`."""

from dataclasses import dataclass, field

from textlstm.config.checks import check_local, check_ranges


@dataclass
class ReviewConfig:
    """`textlstm review`: choose the labelled rows that are most worth a look."""

    output: str = ""
    """A labelled file, its manifest beside it."""
    review: str = ""
    """File to write, with a column `correct_label` to fill; empty means OUTPUT.review.csv."""
    num_rows: int = 100
    """How many rows are chosen at most."""
    model_dir: str = ""
    """Folder of the model that labelled the file; empty means where it was then."""
    overwrite: bool = False
    """Replace an existing review."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_ranges("", self, num_rows=(1, 100_000))
        check_local("review", self.review)


@dataclass
class MergeConfig:
    """`textlstm merge`: put reviewed rows into a training file."""

    reviewed: list[str] = field(default_factory=list)
    """Files of `textlstm review` with the column `correct_label` filled in: paths or globs."""
    train: str = ""
    """Training file that they join; it is not changed."""
    output: str = ""
    """New training file."""
    text_column: str = "text"
    """Column of the training file that holds the text."""
    label_column: str = "label"
    """Column of the training file that holds the label."""
    review_text_column: str = ""
    """Column of the reviewed files that holds the text; empty means that of the training file."""
    encoding: str = "utf-8"
    """Text encoding of the training file."""
    review_encoding: str = "utf-8"
    """Text encoding of the reviewed files."""
    new_labels: bool = False
    """Allow labels that no training row has."""
    overwrite: bool = False
    """Replace an existing output."""

    def __post_init__(self) -> None:
        """Refuse addresses."""
        check_local("train", self.train)
        check_local("output", self.output)
