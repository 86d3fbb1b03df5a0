"""The model as MLflow serves it: a column of texts in, a table of labels and probabilities out."""

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel

from textlstm.inference.answers import answer_columns
from textlstm.inference.classifier import TextClassifier
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
            # (N, L) float32 probabilities of N texts.
            probabilities = self._classifier.predict_proba(texts)
            return pd.DataFrame(answer_columns(self._classifier, texts, probabilities, top_k=top_k, with_all=with_all))


def _texts(table: pd.DataFrame) -> list[str]:
    columns = [name for name in (INPUT_COLUMN, UNNAMED_COLUMN) if name in table.columns]
    if not columns:
        raise MlflowException.invalid_parameter_value(f"the input has no column {INPUT_COLUMN!r}")
    # Spark's function hands on both columns of the signature, one of them without values.
    column = next((name for name in columns if not table[name].isna().all()), columns[0])
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
