"""Text classification with recurrent networks: prepare, train, evaluate and label, reproducibly.

What is listed in `__all__` here, and the modules `textlstm.sklearn`, `textlstm.spacy` and `textlstm.datasets`, are the
public API; everything else may change. Names are imported when they are first used; `__init__.pyi` tells their types.
"""

from importlib import import_module

__version__ = "0.1.0"

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

_HOMES = {
    "textlstm.errors": ("ConfigError", "InputError", "IntegrityError", "StorageError", "TextLSTMError"),
    "textlstm.inference.prediction": ("Decision", "Prediction"),
    "textlstm.library.classifier": ("TextClassifier",),
    "textlstm.library.explanations": ("Explanations",),
    "textlstm.library.report": ("EvaluationReport",),
}


def __getattr__(name: str) -> object:
    """Return a public name from the file that holds it."""
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module 'textlstm' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
