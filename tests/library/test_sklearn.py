"""The scikit-learn estimator in scikit-learn's own tools, and by its own checks."""

import pickle
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data

from textlstm import TextClassifier
from textlstm.errors import ConfigError
from textlstm.sklearn import LSTMTextClassifier

EXCUSED: dict[str, str] = {
    "check_sample_weight_equivalence_on_dense_data": "a row that is given twice may lie in training and in held-out rows, "
    "and counts twice for the vocabulary and the n-grams; a weight does neither"
}
"""Checks of scikit-learn that fail, and why they may."""
SKIPPED = {"check_array_api_input": "needs an array library of the array API, and texts are no numbers"}


def small(settings: dict[str, Any], **parameters: Any) -> LSTMTextClassifier:
    rest = {key: value for key, value in settings.items() if key not in ("epochs", "hidden_size")}
    return LSTMTextClassifier(**{"epochs": 2, "hidden_size": 8, "settings": rest, **parameters})


@pytest.fixture(scope="module")
def fitted(rows: Any, settings: dict[str, Any]) -> LSTMTextClassifier:
    return small(settings).fit(*rows)


def test_it_predicts_classes_probabilities_and_scores(fitted: LSTMTextClassifier, other_rows: Any) -> None:
    assert fitted.classes_.tolist() == ["film", "money", "sport"]
    probabilities = fitted.predict_proba(other_rows.texts)
    assert probabilities.shape == (60, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-12)
    assert (
        (fitted.classes_[fitted.decision_function(other_rows.texts).argmax(axis=1)]).tolist()
        == fitted.predict(other_rows.texts).tolist()
    )
    assert fitted.score(*other_rows) > 0.9


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
@pytest.mark.parametrize("column", [list, pd.Series])
def test_a_missing_class_is_no_class_called_nan(column: Any, missing: object) -> None:
    with pytest.raises(ValueError, match=r"^y\[1\]: no class \(None or NaN\); drop these rows from X and y$"):
        LSTMTextClassifier().fit(["a goal", "a bank", "a share"], column(["sport", missing, "money"]))
    # Negative control: numpy would make it a class.
    assert np.asarray(["sport", float("nan")]).tolist() == ["sport", "nan"]


def test_numbers_keep_their_order_and_type(rows: Any, settings: dict[str, Any]) -> None:
    numbers = np.array([{"film": 10, "money": 9, "sport": -1}[label] for label in rows.labels])
    found = small(settings).fit(pd.Series(rows.texts), pd.Series(numbers))
    assert found.classes_.tolist() == [-1, 9, 10]
    assert np.mean(found.predict(rows.texts) == numbers) > 0.9


def test_two_classes_have_one_column_of_decisions(rows: Any, settings: dict[str, Any]) -> None:
    binary = np.array(rows.labels) == "film"
    found = small(settings).fit(rows.texts, binary)
    decisions = found.decision_function(rows.texts)
    assert decisions.shape == (150,)
    assert ((decisions > 0) == found.predict(rows.texts)).all()


def test_an_indicator_matrix_gives_several_labels(rows: Any, settings: dict[str, Any]) -> None:
    matrix = np.array([[label == "film", label != "sport", len(text) > 50] for text, label in zip(*rows, strict=True)])
    found = small(settings).fit(rows.texts, matrix.astype(int))
    assert found.predict(rows.texts).shape == found.predict_proba(rows.texts).shape == (150, 3)
    assert np.mean(found.predict(rows.texts)[:, :2] == matrix[:, :2]) > 0.8


def test_it_works_in_pipelines_and_cross_validation(rows: Any, settings: dict[str, Any]) -> None:
    pipeline = make_pipeline(FunctionTransformer(lambda texts: [text.upper() for text in texts]), small(settings))
    assert cross_val_score(pipeline, rows.texts, rows.labels, cv=2).min() > 0.6


def test_it_works_in_searches_and_calibration(rows: Any, settings: dict[str, Any]) -> None:
    search = GridSearchCV(small(settings), {"epochs": [1, 2]}, cv=2, error_score="raise").fit(*rows)
    assert search.best_params_["epochs"] in (1, 2)
    calibrated = CalibratedClassifierCV(small(settings), cv=2).fit(*rows)
    assert calibrated.predict_proba(rows.texts[:5]).shape == (5, 3)


def test_parameters_are_read_set_and_cloned(settings: dict[str, Any]) -> None:
    estimator = small(settings, random_state=7)
    again = clone(estimator)
    assert again.get_params() == estimator.get_params()
    assert again.set_params(epochs=5).epochs == 5


def test_the_seed_is_the_commands(rows: Any, settings: dict[str, Any], fitted: LSTMTextClassifier) -> None:
    direct = TextClassifier.fit(*rows, seed=1, **settings)
    np.testing.assert_array_equal(direct.predict_proba(rows.texts), fitted.classifier_.predict_proba(rows.texts))


def test_pickle_and_joblib_keep_predictions(fitted: LSTMTextClassifier, rows: Any, tmp_path: Path) -> None:
    joblib.dump(fitted, tmp_path / "estimator.joblib")
    for again in (pickle.loads(pickle.dumps(fitted)), joblib.load(tmp_path / "estimator.joblib")):
        np.testing.assert_array_equal(again.predict_proba(rows.texts), fitted.predict_proba(rows.texts))


def test_wrong_rows_are_value_errors(settings: dict[str, Any], fitted: LSTMTextClassifier) -> None:
    with pytest.raises(ValueError, match=r"^texts\[1\] is None, not a str"):
        fitted.predict(["a", None])
    with pytest.raises(ValueError, match=r"^texts has 3 rows, labels has 2$"):
        small(settings).fit(["a", "b", "c"], ["x", "y"])
    with pytest.raises(ValueError, match=r"^y has 1 class in 2 rows; at least two classes are needed$"):
        small(settings).fit(["a", "b"], ["x", "x"])
    with pytest.raises(ConfigError, match=r"^model.sizes: no such setting"):
        LSTMTextClassifier(settings={"model.sizes": 3}).fit(["a", "b"], ["x", "y"])


def test_sample_weight_decides_between_rows_that_contradict_each_other(settings: dict[str, Any]) -> None:
    texts = [f"{word} {number % 7}" for number in range(60) for word in ("goal", "goal", "bank")]
    labels = ["sport", "money", "money"] * 60
    weights = [9.0, 1.0, 1.0] * 60
    assert small(settings).fit(texts, labels, sample_weight=weights).predict(["goal 3"]) == ["sport"]
    weights = [1.0, 9.0, 1.0] * 60
    assert small(settings).fit(texts, labels, sample_weight=np.array(weights)).predict(["goal 3"]) == ["money"]


class OfNumbers(LSTMTextClassifier):
    """Takes the numbers that scikit-learn's checks give as words, since these checks know no texts."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        if y is None:
            return super().fit([], y, sample_weight)  # refuses
        X, y = validate_data(self, X, y)
        return super().fit(self._words(X), y, sample_weight)

    def predict_proba(self, X: Any) -> Any:
        if not hasattr(self, "classifier_"):
            return super().predict_proba(X)  # refuses: it is not fitted
        return super().predict_proba(self._words(validate_data(self, X, reset=False)))

    def _words(self, X: Any) -> list[str]:
        return [" ".join(f"c{column}v{round(value * 2)}" for column, value in enumerate(row)) for row in X]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.one_d_array = tags.input_tags.string = tags.classifier_tags.multi_label = False
        return tags


def run_checks(estimator: Any, *, legacy: bool) -> dict[str, set[str]]:
    """Return the names of scikit-learn's checks by their outcome, and print them."""
    found: dict[str, set[str]] = {"passed": set(), "failed": set(), "skipped": set(), "xfail": set()}
    results = check_estimator(
        estimator, legacy=legacy, expected_failed_checks=EXCUSED, on_fail=None, on_skip=None, callback=None
    )
    for result in results:
        found[result["status"]].add(result["check_name"])
    lines = [f"{status}: {', '.join(sorted(names)) or 'none'}" for status, names in found.items()]
    lines += [f"excused: {name}: {reason}" for name, reason in (EXCUSED | SKIPPED).items()]
    sys.stdout.write("\n".join([*lines, ""]))
    return found


def test_checks_of_the_interface_pass(settings: dict[str, Any]) -> None:
    found = run_checks(OfNumbers(**small(settings).get_params()), legacy=False)
    assert found["failed"] == found["skipped"] == found["xfail"] == set()
    assert len(found["passed"]) >= 10


@pytest.mark.long
def test_all_checks_of_scikit_learn_pass(settings: dict[str, Any]) -> None:
    found = run_checks(OfNumbers(**small(settings).get_params()), legacy=True)
    assert found["failed"] == set()
    assert found["skipped"] <= set(SKIPPED)
    assert found["xfail"] == set(EXCUSED)
    assert len(found["passed"]) >= 40
