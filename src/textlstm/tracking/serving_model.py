"""The model as MLflow serves it: a column of texts in, a table of labels and probabilities out."""

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel

from textlstm.tracking.model_logging import INPUT_COLUMN, MODEL_FOLDER_ARTIFACT, UNNAMED_COLUMN

if TYPE_CHECKING:
    from mlflow.pyfunc import PythonModelContext


class ServedClassifier(PythonModel):  # type: ignore[misc]
    """Answers as `textlstm label` does; calls from several threads are worked on one after another."""

    def __init__(self) -> None:
        """Load nothing: MLflow also makes one while it logs a model."""
        self._classifier: Any = None
        self._lock = threading.Lock()

    def load_context(self, context: "PythonModelContext") -> None:
        """Load the model folder among the artefacts.

        Raises:
            IntegrityError: A file was changed, or spaCy's model is another version.
        """
        from textlstm.inference.classifier import TextClassifier

        self._classifier = TextClassifier.load(context.artifacts[MODEL_FOLDER_ARTIFACT])

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Return the columns label, probability and decision, one row a text, in order; rows without text are `empty`.

        Args:
            model_input: The table that MLflow builds from a table, a series, a list of strings or a mapping.
            params: `top_k` adds the columns top_labels and top_probabilities, lists of that length;
                `probabilities` adds a column a label.

        Raises:
            MlflowException: A text is no string; the scoring server answers 400.
        """
        texts = _texts(model_input)
        top_k, with_all = int((params or {}).get("top_k", 0)), bool((params or {}).get("probabilities", False))
        with self._lock:
            # (N, L) float32 probabilities of N texts, then N predictions.
            probabilities = self._classifier.predict_proba(texts)
            predictions = self._classifier.decide(texts, probabilities)
        answer: dict[str, list[Any]] = {
            "label": [prediction.label for prediction in predictions],
            "probability": [prediction.probability for prediction in predictions],
            "decision": [str(prediction.decision) for prediction in predictions],
        }
        labels = self._classifier.labels
        if top_k > 0:
            # (N, top_k) columns of the most probable labels; the stable sort keeps the order of labels with equal ones.
            best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
            answer["top_labels"] = [[labels[place] for place in row] for row in best]
            answer["top_probabilities"] = np.take_along_axis(probabilities, best, axis=1).astype(float).tolist()
        if with_all:
            answer |= {f"probability:{label}": probabilities[:, place].tolist() for place, label in enumerate(labels)}
        return pd.DataFrame(answer)


def _texts(table: pd.DataFrame) -> list[str]:
    column = next((name for name in (INPUT_COLUMN, UNNAMED_COLUMN) if name in table.columns), None)
    if column is None:
        raise MlflowException.invalid_parameter_value(f"the input has no column {INPUT_COLUMN!r}")
    rows = table[column].tolist()
    # A mapping of columns arrives as a table of one row, whose cell holds all texts.
    if len(rows) == 1 and isinstance(rows[0], list | np.ndarray):
        rows = list(rows[0])
    texts = ["" if _is_missing(text) else text for text in rows]
    wrong = next((row for row, text in enumerate(texts) if not isinstance(text, str)), None)
    if wrong is not None:
        kind = type(texts[wrong]).__name__
        raise MlflowException.invalid_parameter_value(f"row {wrong}: {INPUT_COLUMN} must be a string, not {kind}")
    return texts


def _is_missing(value: Any) -> bool:
    return bool(np.isscalar(value) or value is None or value is pd.NA) and bool(pd.isna(value))
