"""The file MLflow stores as the code of a logged model and runs when it loads one; it does its work on import."""

from mlflow.models import set_model

from textlstm.tracking.serving_model import ServedClassifier

set_model(ServedClassifier())
