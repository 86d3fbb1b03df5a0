"""The bodies of requests: what MLflow's own server takes and refuses is taken and refused alike."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from textlstm.inference.answers import answer_columns
from textlstm.inference.classifier import TextClassifier
from textlstm.serving.requests import Question, Refused, read_question

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"


@pytest.fixture(scope="module")
def mlflow_answer(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes, str], Any]:
    """MLflow's function behind /invocations, with the stored model: the predictions, or the HTTP status of an error."""
    import mlflow.pyfunc
    from mlflow.exceptions import MlflowException
    from mlflow.pyfunc import scoring_server

    from textlstm.tracking.model_logging import save_pyfunc

    folder = tmp_path_factory.mktemp("pyfunc") / "model"
    save_pyfunc(tiny_model, folder)
    model = mlflow.pyfunc.load_model(str(folder))

    def ask(body: bytes, content_type: str) -> Any:
        try:
            answer = scoring_server.invocations(body, content_type, model, model.metadata.get_input_schema())
        except MlflowException as error:
            return error.get_http_status_code()
        return json.loads(answer.response)["predictions"] if answer.status == 200 else answer.status

    return ask


@pytest.fixture(scope="module")
def our_answer(tiny_model: Path) -> Callable[[bytes, str], Any]:
    classifier = TextClassifier.load(tiny_model)

    def ask(body: bytes, content_type: str) -> Any:
        try:
            texts, top_k, with_all = read_question(body, content_type)
        except Refused as refused:
            return refused.status
        columns = answer_columns(classifier, texts, classifier.predict_proba(texts), top_k=top_k, with_all=with_all)
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    return ask


def _parquet(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer)
    return buffer.getvalue()


SAME = {
    "split": ({"dataframe_split": {"columns": ["text"], "data": [["goal"], ["bank"]]}}, JSON),
    "split with null": ({"dataframe_split": {"columns": ["text"], "data": [[None]]}}, JSON),
    "split with another column": ({"dataframe_split": {"columns": ["id", "text"], "data": [[1, "goal"]]}}, JSON),
    "split with an index": ({"dataframe_split": {"index": [7], "columns": ["text"], "data": [["goal"]]}}, JSON),
    "split without columns": ({"dataframe_split": {"data": [["goal"]]}}, JSON),
    "split of bare rows": ({"dataframe_split": {"columns": ["text"], "data": ["goal"]}}, JSON),
    "split of no rows": ({"dataframe_split": {"columns": ["text"], "data": []}}, JSON),
    "split of another column": ({"dataframe_split": {"columns": ["txt"], "data": [["x"]]}}, JSON),
    "split of wide rows": ({"dataframe_split": {"columns": ["text"], "data": [["a", "b"]]}}, JSON),
    "split of numbers": ({"dataframe_split": {"columns": ["text"], "data": [[3]]}}, JSON),
    "split of objects": ({"dataframe_split": {"columns": ["text"], "data": [[{"a": 1}]]}}, JSON),
    "records": ({"dataframe_records": [{"text": "goal"}, {"text": None}, {}]}, JSON),
    "records with more": ({"dataframe_records": [{"text": "goal", "x": 1}]}, JSON),
    "records that are none": ({"dataframe_records": "x"}, JSON),
    "no records": ({"dataframe_records": []}, JSON),
    "instances": ({"instances": ["goal", "bank"]}, JSON),
    "instances of objects": ({"instances": [{"text": "goal"}, {"text": "bank"}]}, JSON),
    "instances of rows": ({"instances": [["goal"], ["bank"]]}, JSON),
    "instances of columns": ({"instances": {"text": ["goal"]}}, JSON),
    "inputs": ({"inputs": ["goal", "bank"]}, JSON),
    "one input": ({"inputs": "goal"}, JSON),
    "inputs of columns": ({"inputs": {"text": ["goal", "bank"]}}, JSON),
    "inputs of one text": ({"inputs": {"text": "goal"}}, JSON),
    "inputs of objects": ({"inputs": [{"text": "goal"}, {"text": "bank"}]}, JSON),
    "no inputs": ({"inputs": []}, JSON),
    "inputs of two kinds": ({"inputs": [["a"], 2]}, JSON),
    "top_k": ({"inputs": ["goal"], "params": {"top_k": 2}}, JSON),
    "top_k below 0": ({"inputs": ["goal"], "params": {"top_k": -1}}, JSON),
    "top_k of text": ({"inputs": ["goal"], "params": {"top_k": "2"}}, JSON),
    "top_k of a part": ({"inputs": ["goal"], "params": {"top_k": 1.5}}, JSON),
    "probabilities": ({"inputs": ["goal"], "params": {"probabilities": True}}, JSON),
    "probabilities of a number": ({"inputs": ["goal"], "params": {"probabilities": 1}}, JSON),
    "another parameter": ({"inputs": ["goal"], "params": {"other": 1}}, JSON),
    "parameters that are none": ({"inputs": ["goal"], "params": 3}, JSON),
    "null parameters": ({"inputs": ["goal"], "params": None}, JSON),
    "two formats": ({"inputs": ["goal"], "instances": ["goal"]}, JSON),
    "another key": ({"inputs": ["goal"], "other": 1}, JSON),
    "no format": ({"other": 1}, JSON),
    "a list": ([], JSON),
    "a number": (3, JSON),
    "nothing": (b"", JSON),
    "half of JSON": (b"{", JSON),
    "no UTF-8": (b"\xff\xfe", JSON),
    "charset": ({"inputs": ["goal"]}, f"{JSON}; charset=utf-8"),
    "another charset": ({"inputs": ["goal"]}, f"{JSON}; charset=latin-1"),
    "plain text": (b"goal", "text/plain"),
    "CSV": (b'id,text\n1,goal\n2,\n3,"a, ""bank"""\n', CSV),
    "CSV of numbers": (b"text\n12\n", CSV),
    "CSV of a header": (b"text\n", CSV),
    "CSV of another column": (b"txt\ngoal\n", CSV),
    "CSV of nothing": (b"", CSV),
    "CSV that is no UTF-8": (b"\xff", CSV),
    "Parquet": (_parquet(pd.DataFrame({"number": [1, 2], "text": ["goal", None]})), PARQUET),
    "Parquet that is none": (b"zz", PARQUET),
}


@pytest.mark.parametrize("case", SAME)
def test_answers_are_those_of_mlflow(
    our_answer: Callable[[bytes, str], Any], mlflow_answer: Callable[[bytes, str], Any], case: str
) -> None:
    content, content_type = SAME[case]
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    assert our_answer(body, content_type) == mlflow_answer(body, content_type)


def test_a_missing_text_is_empty_and_no_text_is_a_missing_one() -> None:
    """MLflow reads null among `inputs` as the text "None", and the text NA in CSV as a missing one."""
    assert read_question(b'{"inputs": [null, NaN, "a"]}', JSON) == Question(["", "", "a"])
    assert read_question(b"text\nNA\nnull\n", CSV) == Question(["NA", "null"])


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b'{"inputs": 3}', JSON, "inputs must be a list of rows, not int"),
        (b'{"inputs": ["a", 1]}', JSON, "row 1: text must be a string, not int"),
        (
            b'{"dataframe_split": {"columns": ["a", "b"], "data": [["x", "y"]]}}',
            JSON,
            "the input has no column 'text'; its columns: 'a', 'b'",
        ),
        (
            b"{}",
            JSON,
            "the body must be a JSON object with exactly one of dataframe_split, dataframe_records, instances, inputs",
        ),
        (
            b"a",
            "text/plain",
            "the content type must be one of application/json, text/csv, application/vnd.apache.parquet, "
            "not 'text/plain'",
        ),
        (b"[" * 100_000, JSON, None),
        (b'{"inputs": [' + b"9" * 5000 + b"]}", JSON, None),
        (b'text\n"goal\n', CSV, "the body is not valid CSV: unexpected end of data"),
    ],
)
def test_a_refusal_says_what_is_wrong(body: bytes, content_type: str, message: str | None) -> None:
    with pytest.raises(Refused) as caught:
        read_question(body, content_type)
    assert message is None or caught.value.message == message
