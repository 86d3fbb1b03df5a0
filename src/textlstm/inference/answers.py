"""Answers as MLflow's model and the scoring server give them: columns label, probability, decision, one row a text."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from textlstm.inference.classifier import TextClassifier


def answer_columns(
    classifier: TextClassifier,
    texts: Sequence[str],
    probabilities: np.ndarray,
    *,
    top_k: int = 0,
    with_all: bool = False,
) -> dict[str, list[Any]]:
    """Return the columns of the answer to N texts, each a list of N plain Python values.

    A model that gives a text several labels adds `labels`, a list a text: joined as in `label`, a label with a comma
    could not be told from two.

    Args:
        classifier: the model, which knows labels and thresholds.
        texts: the N texts; those without visible characters are `empty`.
        probabilities: (N, L) float32 of the texts.
        top_k: if above 0, adds top_labels and top_probabilities, lists of that length or of all labels.
        with_all: adds a column a label, `probability:LABEL`.
    """
    predictions = classifier.decide(texts, probabilities)
    answer: dict[str, list[Any]] = {
        "label": [prediction.label for prediction in predictions],
        "probability": [prediction.probability for prediction in predictions],
        "decision": [str(prediction.decision) for prediction in predictions],
    }
    if classifier.is_multi_label:
        answer["labels"] = [list(prediction.labels) for prediction in predictions]
    labels = classifier.labels
    if top_k > 0:
        # (N, top_k) columns of the most probable labels; the stable sort keeps the order of labels with equal ones.
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
        answer["top_labels"] = [[labels[place] for place in row] for row in best]
        answer["top_probabilities"] = np.take_along_axis(probabilities, best, axis=1).astype(float).tolist()
    if with_all:
        answer |= {f"probability:{label}": probabilities[:, place].tolist() for place, label in enumerate(labels)}
    return answer
