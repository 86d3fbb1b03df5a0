from textlstm.errors import ConfigError, InputError, IntegrityError, StorageError, TextLSTMError
from textlstm.inference.prediction import Decision, Prediction
from textlstm.library.classifier import TextClassifier
from textlstm.library.explanations import Explanations
from textlstm.library.report import EvaluationReport

__version__: str

__all__ = [
    "ConfigError",
    "Decision",
    "EvaluationReport",
    "Explanations",
    "InputError",
    "IntegrityError",
    "Prediction",
    "StorageError",
    "TextClassifier",
    "TextLSTMError",
    "__version__",
]
