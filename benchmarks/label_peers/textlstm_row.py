"""textlstm as a library, in the frame of a peer: what a server with the model in memory does for one row."""

from collections.abc import Callable, Sequence
from pathlib import Path

from textlstm.inference.classifier import TextClassifier


def label(model: Path) -> Callable[[Sequence[str]], list[tuple[str, float]]]:
    """Return the function that labels texts."""
    classifier = TextClassifier.load(str(model))

    def predict(texts: Sequence[str]) -> list[tuple[str, float]]:
        return [(one.label, one.probability) for one in classifier.predict(list(texts))]

    return predict
