"""The stored model answers every kind of input that MLflow hands on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from textlstm.inference.classifier import TextClassifier


@pytest.fixture(scope="module")
def served(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    import mlflow.pyfunc

    from textlstm.tracking.model_logging import save_pyfunc

    folder = tmp_path_factory.mktemp("served") / "model"
    save_pyfunc(tiny_model, folder)
    return mlflow.pyfunc.load_model(str(folder))


INPUTS: dict[str, Callable[[], Any]] = {
    "table": lambda: pd.DataFrame({"number": [1, 2, 3], "text": ["goal match", None, "bank"]}),
    "table of both columns, as Spark's function makes it": lambda: pd.DataFrame(
        {0: ["goal match", None, "bank"], "text": [None, None, None]}
    ),
    "series": lambda: pd.Series(["goal match", None, "bank"]),
    "series with a name": lambda: pd.Series(["goal match", pd.NA, "bank"], name="text"),
    "list": lambda: ["goal match", float("nan"), "bank"],
    "array": lambda: np.array(["goal match", None, "bank"], dtype=object),
    "mapping of lists": lambda: {"text": ["goal match", "", "bank"]},
    "mapping of lists with None": lambda: {"text": ["goal match", None, "bank"]},
    "list of rows": lambda: [{"text": "goal match"}, {"text": None}, {"text": "bank"}],
}


@pytest.mark.parametrize("kind", INPUTS)
def test_every_input_is_answered_and_missing_texts_are_empty(served: Any, tiny_model: Path, kind: str) -> None:
    answer = served.predict(INPUTS[kind]())
    expected = TextClassifier.load(tiny_model).predict(["goal match", "", "bank"])
    assert answer["label"].tolist() == [prediction.label for prediction in expected] == ["sport", "", "money"]
    assert answer["decision"].tolist() == ["accepted", "empty", "accepted"]
    assert answer["probability"].tolist() == pytest.approx([prediction.probability for prediction in expected])


def test_parameters_add_columns(served: Any, tiny_model: Path) -> None:
    answer = served.predict(["goal match", "bank"], params={"top_k": 2, "probabilities": True})
    probabilities = TextClassifier.load(tiny_model).predict_proba(["goal match", "bank"])
    assert answer.columns.tolist() == [
        *("label", "probability", "decision", "top_labels", "top_probabilities"),
        *("probability:film", "probability:money", "probability:sport"),
    ]
    assert answer["top_labels"].str[0].tolist() == answer["label"].tolist() == ["sport", "money"]
    assert [len(labels) for labels in answer["top_labels"]] == [2, 2]
    assert answer["probability:money"].tolist() == pytest.approx(probabilities[:, 1].tolist())


def test_other_inputs_are_refused_with_the_row_or_column(served: Any) -> None:
    with pytest.raises(MlflowException, match=r"row 1: text must be a string, not int"):
        served.predict(["a", 1])
    with pytest.raises(MlflowException, match=r"the input has no column 'text'"):
        served.predict(pd.DataFrame({"review": ["a"]}))
