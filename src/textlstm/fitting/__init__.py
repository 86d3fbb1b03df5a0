"""From a prepared corpus to a model; stages `train`, `run` and `sweep` share it."""

from textlstm.fitting.auto import Resolved, resolve, typed_settings, with_values
from textlstm.fitting.auto_text import resolve_text
from textlstm.fitting.classifier import Fitted, fit_classifier, join_training

__all__ = [
    "Fitted",
    "Resolved",
    "fit_classifier",
    "join_training",
    "resolve",
    "resolve_text",
    "typed_settings",
    "with_values",
]
