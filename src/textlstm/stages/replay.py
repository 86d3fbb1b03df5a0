"""`textlstm replay OUT ROW`: compute a label again and compare."""

from pathlib import Path

from textlstm.config import ReplayConfig
from textlstm.errors import IntegrityError
from textlstm.labelling.trace import replay_row
from textlstm.stages.screen import say


def replay(config: ReplayConfig) -> None:
    """Print whether one row of a labelled file comes out the same again.

    Raises:
        IntegrityError: It does not.
    """
    model_dir = Path(config.model_dir) if config.model_dir else None
    outcome = replay_row(config.output, config.row, model_dir=model_dir)
    if outcome.differences:
        raise IntegrityError(*outcome.differences)
    say(*outcome.lines())
