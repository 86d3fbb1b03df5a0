"""Metric names."""

from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textlstm.tracking.names import MAX_NAME_LENGTH, legal_name, metric_name


def _original_parts(name: str) -> tuple[str, ...]:
    parts = name.split("/")
    return tuple("" if part == ":" else unquote(part.replace(":", "%"), errors="surrogatepass") for part in parts)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("test", "f1", "a/b"), "test/f1/a:2Fb"),
        (("f1", "cat[x]"), "f1/cat:5Bx:5D"),
        (("f1", "../"), "f1/..:2F"),
        (("f1", ".."), "f1/:2E:2E"),
        (("f1", ""), "f1/:"),
        (("f1", "\0"), "f1/:00"),
        (("f1", "50:50"), "f1/50:3A50"),
        (("f1", "größe"), "f1/gr:C3:B6:C3:9Fe"),
        (("f1", "plain name-1.0_x"), "f1/plain name-1.0_x"),
    ],
)
def test_names_are_escaped(parts: tuple[str, ...], expected: str) -> None:
    assert metric_name(*parts) == expected
    assert _original_parts(expected) == parts


def test_legal_name_keeps_separators() -> None:
    assert legal_name("test/top 3 [%]") == "test/top 3 :5B:25:5D"


@settings(deadline=None)
@given(st.lists(st.text(max_size=6), min_size=1, max_size=3))
def test_every_name_is_legal_for_mlflow_and_comes_back(parts: list[str]) -> None:
    from mlflow.utils.validation import _validate_metric_name

    name = metric_name(*parts)
    _validate_metric_name(name)
    assert _original_parts(name) == tuple(parts)


def test_long_names_stay_distinct_and_short_enough() -> None:
    names = {metric_name("f1", "x" * 400 + ending) for ending in "ab"}
    assert len(names) == 2
    assert max(map(len, names)) <= MAX_NAME_LENGTH


def test_unescaped_name_is_refused_by_mlflow() -> None:
    """Negative control: without the escape MLflow would refuse."""
    from mlflow.exceptions import MlflowException
    from mlflow.utils.validation import _validate_metric_name

    with pytest.raises(MlflowException):
        _validate_metric_name("f1[cat=x]")
