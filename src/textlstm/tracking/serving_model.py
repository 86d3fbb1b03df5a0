"""The model as MLflow serves it: a table with a column of texts in, a table of labels and probabilities out."""

import threading
from typing import TYPE_CHECKING, Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel

from textlstm.tracking.model_logging import INPUT_COLUMN, MODEL_FOLDER_ARTIFACT

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

    def predict(self, model_input: pd.DataFrame) -> pd.DataFrame:
        """Return the columns label, probability and decision, one row a text, in order.

        Raises:
            MlflowException: A text is no string; the scoring server answers 400.
        """
        texts = model_input[INPUT_COLUMN].tolist()
        wrong = next((row for row, text in enumerate(texts) if not isinstance(text, str)), None)
        if wrong is not None:
            kind = type(texts[wrong]).__name__
            raise MlflowException.invalid_parameter_value(f"row {wrong}: {INPUT_COLUMN} must be a string, not {kind}")
        with self._lock:
            predictions = self._classifier.predict(texts)
        return pd.DataFrame(
            {
                "label": [prediction.label for prediction in predictions],
                "probability": [prediction.probability for prediction in predictions],
                "decision": [str(prediction.decision) for prediction in predictions],
            }
        )
