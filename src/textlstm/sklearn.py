"""A scikit-learn estimator over `TextClassifier`: for pipelines, cross-validation, searches and calibration.

    from textlstm.sklearn import LSTMTextClassifier

    cross_val_score(LSTMTextClassifier(quality="fast"), texts, labels)

`sample_weight` weighs the losses of network and linear expert, the calibration and the threshold of abstention; only
proportions count. Features, the part that is held out and what `auto` chooses do not depend on it. Classes of unequal
size are weighed by `settings={"imbalance": "class_weights"}`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self, TypeVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d

from textlstm.errors import InputError
from textlstm.inference.texts import MAX_NAMED, is_missing
from textlstm.library.classifier import TextClassifier

_LEAST_PROBABILITY = 1e-12
Result = TypeVar("Result")


class RowsError(InputError, ValueError):
    """Rows that cannot be used, as the ValueError that scikit-learn's tools expect."""


class LSTMTextClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A recurrent network and a linear expert over texts; the same engine and defaults as `textlstm train`.

    Attributes:
        classes_: (L,) the classes, sorted; for labels as an indicator matrix (N, L), the numbers of its columns.
        classifier_: the `TextClassifier`, which can be saved and explained.
    """

    def __init__(
        self,
        *,
        quality: str = "balanced",
        epochs: int | None = None,
        batch_size: int | None = None,
        hidden_size: int | None = None,
        embeddings: list[str] | None = None,
        validation_fraction: float | None = None,
        device: str | None = None,
        settings: Mapping[str, object] | None = None,
        random_state: Any = 1,
        verbose: bool = False,
    ) -> None:
        """Keep the parameters; None leaves a setting to what the data decide.

        Args:
            quality: fast, balanced or best.
            epochs: passes over the training rows.
            batch_size: rows a step.
            hidden_size: units of each direction.
            embeddings: pretrained vectors, such as ["wordllama"].
            validation_fraction: part of the rows held out to choose and calibrate by, in (0, 1).
            device: auto, cpu or cuda.
            settings: any other settings of `textlstm train`, by key.
            random_state: seed; None draws one.
            verbose: show a bar in terminals and notebooks.
        """
        self.quality = quality
        self.epochs = epochs
        self.batch_size = batch_size
        self.hidden_size = hidden_size
        self.embeddings = embeddings
        self.validation_fraction = validation_fraction
        self.device = device
        self.settings = settings
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        X: Iterable[object],  # noqa: N803
        y: Iterable[object],
        sample_weight: Iterable[object] | None = None,
    ) -> Self:
        """Learn from texts `X` and their classes `y`: (N,), or an indicator matrix (N, L).

        `sample_weight` is a number of at least 0 a text; None: all count alike.

        Raises:
            RowsError: a row cannot be used; a ValueError.
            ConfigError: a setting is unknown or out of range.
        """
        if y is None:
            raise RowsError(
                "LSTMTextClassifier requires y to be passed, but the target y is None; give a class for each text"
            )
        _refuse_missing_classes(y)
        check_classification_targets(y)
        targets = np.asarray(y)
        self._is_indicator = type_of_target(y) == "multilabel-indicator"
        labels: list[Any]
        if self._is_indicator:
            self.classes_ = np.arange(targets.shape[1])
            labels = [[str(column) for column in np.flatnonzero(row)] for row in targets]
        else:
            targets = column_or_1d(targets, warn=True)
            self.classes_, places = np.unique(targets, return_inverse=True)
            if len(self.classes_) < 2:
                found = "1 class" if len(targets) else "no class"
                raise RowsError(f"y has {found} in {len(targets)} rows; at least two classes are needed")
            labels = [str(self.classes_[place]) for place in places]
        weights = None if sample_weight is None else np.asarray(sample_weight)
        given: dict[str, Any] = {
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "hidden_size": self.hidden_size,
            "embeddings": self.embeddings,
            "validation_fraction": self.validation_fraction,
            "training.device": self.device,
            **(self.settings or {}),
        }
        state = self.random_state
        seed = int(state) if isinstance(state, int | np.integer) else check_random_state(state).randint(2**31)
        self.classifier_ = _refused_as_value_error(
            lambda: TextClassifier.fit(
                X, labels, weights=weights, quality=self.quality, seed=seed, progress=self.verbose, **given
            )
        )
        return self

    def predict(self, X: Iterable[object]) -> np.ndarray:  # noqa: N803
        """Return the most probable class of each text, (N,); fitted on an indicator matrix, such a matrix (N, L)."""
        check_is_fitted(self)
        if not self._is_indicator:
            return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])
        predictions = _refused_as_value_error(lambda: self.classifier_.predict(X))
        return np.array([[int(str(column) in found.labels) for column in self.classes_] for found in predictions])

    def predict_proba(self, X: Iterable[object]) -> np.ndarray:  # noqa: N803
        """Return calibrated probabilities, (N, L) float64, columns in the order of `classes_`."""
        check_is_fitted(self)
        found = _refused_as_value_error(lambda: self.classifier_.predict_proba(X)).astype(np.float64)
        probabilities = np.zeros((len(found), len(self.classes_)))
        # Labels are in the order of their names; a class that only held-out rows had is none of them.
        place = {name: column for column, name in enumerate(self.classifier_.labels)}
        for column, name in enumerate(map(str, self.classes_)):
            if name in place:
                probabilities[:, column] = found[:, place[name]]
        return probabilities if self._is_indicator else probabilities / probabilities.sum(axis=1, keepdims=True)

    def decision_function(self, X: Iterable[object]) -> np.ndarray:  # noqa: N803
        """Return log-odds of the second of two classes, (N,), or of every class against the others, (N, L)."""
        probabilities = np.clip(self.predict_proba(X), _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
        odds = np.log(probabilities) - np.log1p(-probabilities)
        return np.asarray(odds[:, 1] if len(self.classes_) == 2 and not self._is_indicator else odds)

    def __sklearn_tags__(self) -> Any:
        """Say that rows are texts, and that a row may have several labels."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        tags.classifier_tags.multi_label = True
        return tags


def _refuse_missing_classes(y: Any) -> None:
    """Refuse rows without a class: numpy would make NaN among strings a class called nan.

    Raises:
        RowsError: there are such rows.
    """
    # scikit-learn itself refuses NaN among numbers.
    if getattr(getattr(y, "dtype", None), "kind", "O") in "biuf" or not hasattr(y, "__iter__"):
        return
    missing = [row for row, label in enumerate(y) if is_missing(label)]
    if missing:
        rows = ", ".join(f"y[{row}]" for row in missing[:MAX_NAMED])
        more = f" and {len(missing) - MAX_NAMED:,} more" if len(missing) > MAX_NAMED else ""
        raise RowsError(f"{rows}{more}: no class (None or NaN); drop these rows from X and y")


def _refused_as_value_error(action: Callable[[], Result]) -> Result:
    try:
        return action()
    except InputError as error:
        raise RowsError(*error.problems) from None
