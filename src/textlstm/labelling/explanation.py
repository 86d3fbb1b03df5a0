"""The words that counted: what a label's probability loses when a word is left out of the text.

It asks the whole model, whatever it is made of, once for each distinct word; that many times slower is the labelling.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from textlstm.labelling.classifier import RowClassifier

MAX_WORDS = 100
"""Only the first distinct words of a text are tried."""
NUM_SHOWN = 5
_LEAST_LOSS = 0.005
"""Smaller losses are not shown."""


def explain_rows(texts: Sequence[str], probabilities: npt.NDArray[np.float32], classifier: RowClassifier) -> list[str]:
    """Return for each of N texts its weightiest words with the probability that each carries.

    Example: "bank 0.41; shares 0.20" says that without "bank" the label's probability, one of the (N, L)
    `probabilities`, falls by 0.41.
    """
    explanations = []
    for text, row in zip(texts, probabilities, strict=True):
        words = list(dict.fromkeys(text.split()))[:MAX_WORDS]
        if not words:
            explanations.append("")
            continue
        best = int(row.argmax())
        without = classifier.predict_proba([_without(text, word) for word in words])
        losses = float(row[best]) - without[:, best].astype(np.float64)
        order = np.argsort(-losses, kind="stable")[:NUM_SHOWN]
        shown = [f"{words[index]} {losses[index]:.2f}" for index in order if losses[index] >= _LEAST_LOSS]
        explanations.append("; ".join(shown))
    return explanations


def _without(text: str, word: str) -> str:
    return " ".join(other for other in text.split() if other != word)
