"""Text classification with recurrent networks: prepare, train, evaluate and label, reproducibly."""

__version__ = "0.1.0"
