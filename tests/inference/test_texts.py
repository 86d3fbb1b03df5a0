"""What a column of texts may be, and what is said of everything else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from textlstm.errors import InputError
from textlstm.inference.classifier import TextClassifier
from textlstm.inference.texts import text_list

COLUMNS: dict[str, Callable[[], Any]] = {
    "list": lambda: ["a", "b"],
    "tuple": lambda: ("a", "b"),
    "generator": lambda: (text for text in ["a", "b"]),
    "numpy strings": lambda: np.array(["a", "b"]),
    "numpy objects": lambda: np.array(["a", "b"], dtype=object),
    "one column of numpy": lambda: np.array([["a"], ["b"]]),
    "series": lambda: pd.Series(["a", "b"], index=[5, 6]),
    "series of dtype string": lambda: pd.Series(["a", "b"], dtype="string"),
    "categorical series": lambda: pd.Series(["a", "b"], dtype="category"),
    "arrow": lambda: pa.array(["a", "b"]),
    "chunked arrow": lambda: pa.chunked_array([["a"], ["b"]]),
    "arrow table": lambda: pa.table({"text": ["a", "b"], "stars": [1, 2]}),
    "frame with the column": lambda: pd.DataFrame({"text": ["a", "b"], "stars": [1, 2]}),
    "frame of one column": lambda: pd.DataFrame({"review": ["a", "b"]}),
    "mapping of columns": lambda: {"text": ["a", "b"], "stars": [1, 2]},
}
FILL = 'drop missing rows or fill them, as in texts.fillna("")'
REFUSED: dict[str, tuple[Any, str]] = {
    "str": ("where is it", "texts is one str, not a list; put brackets around it: [texts]"),
    "bytes": (b"where is it", "texts is one bytes, not a list; put brackets around it: [texts]"),
    "None": (None, "texts is None, not a list, series or other column, whose rows have an order"),
    "set": ({"a"}, "texts is a set, not a list, series or other column, whose rows have an order"),
    "None in it": (["a", None], f"texts[1] is None, not a str; {FILL}"),
    "NaN in it": (["a", "b", float("nan")], f"texts[2] is NaN, not a str; {FILL}"),
    "NA in it": (
        pd.Series(["a", pd.NA], dtype="string"),
        f"texts[1] is missing (NAType), not a str; {FILL}",
    ),
    "null of Arrow": (pa.chunked_array([["a"], [None]]), f"texts[1] is None, not a str; {FILL}"),
    "number": ([1], "texts[0] is an int, not a str; make it a string, as in str(value)"),
    "bytes in it": (["a", b"b"], 'texts[1] is bytes, not a str; decode it, as in text.decode("utf-8")'),
    "lists in it": ([["a", "b"]], "texts[0] is a list, not a str; give one text a row"),
    "frame without the column": (
        pd.DataFrame({"review": ["a"], "stars": [1]}),
        "texts is a table without a column 'text'; the columns are 'review', 'stars'. Give one of them, "
        "as in texts['review']",
    ),
    "a row as mapping": (
        {"text": "a"},
        "texts['text'] is one str, not a list; put brackets around it: [texts['text']]",
    ),
    "two columns of numpy": (
        np.array([["a", "b"]]),
        "texts is an array of shape (1, 2); give one column, an array of one dimension",
    ),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_of_strings_is_taken(name: str) -> None:
    found = text_list(COLUMNS[name]())
    assert found == ["a", "b"]
    assert {type(text) for text in found} == {str}


@pytest.mark.parametrize("name", REFUSED)
def test_everything_else_is_refused_with_place_and_remedy(tiny_model: Path, name: str) -> None:
    given, message = REFUSED[name]
    classifier = TextClassifier.load(tiny_model)
    for door in (text_list, classifier.predict, classifier.predict_proba):
        with pytest.raises(InputError) as refusal:
            door(given)
        assert str(refusal.value) == message


def test_many_wrong_rows_are_counted() -> None:
    with pytest.raises(InputError) as refusal:
        text_list(["a", *[None] * 1000])
    assert len(refusal.value.problems) == 6
    assert refusal.value.problems[-1] == "texts: and 995 more rows like these"


def test_polars_is_taken() -> None:
    polars = pytest.importorskip("polars")
    assert text_list(polars.Series(["a", "b"])) == ["a", "b"]
    assert text_list(polars.DataFrame({"text": ["a", "b"], "stars": [1, 2]})) == ["a", "b"]


def test_a_column_of_datasets_is_taken() -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_dict({"text": ["a", "b"], "stars": [1, 2]})
    assert text_list(rows["text"]) == ["a", "b"]
    assert text_list(rows) == ["a", "b"]
