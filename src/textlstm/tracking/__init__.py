"""The one owner of MLflow: runs, journal, registry, dashboard."""

from textlstm.tracking.names import metric_name
from textlstm.tracking.run import Tracker, open_run
from textlstm.tracking.tracked_runs import PairedRows

__all__ = ["PairedRows", "Tracker", "metric_name", "open_run"]
