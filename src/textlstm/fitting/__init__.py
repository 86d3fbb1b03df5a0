"""From a prepared corpus to a model; stages `train`, `run` and `sweep` share it."""

from textlstm.fitting.classifier import Fitted, fit_classifier, join_training

__all__ = ["Fitted", "fit_classifier", "join_training"]
