"""`textlstm review OUT`: choose the labelled rows that are most worth a look."""

from textlstm.config import ReviewConfig
from textlstm.labelling.corrections.review import review_rows
from textlstm.stages.screen import say


def review(config: ReviewConfig) -> None:
    """Write the chosen rows with a column to fill, and say where they are."""
    say(*review_rows(config).lines())
