"""`textlstm trace OUT ROW`: tell where a label came from."""

from textlstm.config import TraceConfig
from textlstm.labelling.trace import trace_row
from textlstm.stages.screen import say


def trace(config: TraceConfig) -> None:
    """Print the input row, model, run and versions behind one row of a labelled file."""
    say(*trace_row(config.output, config.row).lines())
