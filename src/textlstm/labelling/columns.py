"""What labelling adds to a row: names of the columns, and their values."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from textlstm.config import LabellingConfig
from textlstm.corpus.rows.inputs import clash_problems
from textlstm.corpus.rows.values import cell_text, parse_array, plain_value
from textlstm.errors import InputError
from textlstm.labelling.model import RowClassifier, RowPrediction

EXPLANATION_COLUMN = "explanation"
PROBABILITY_DIGITS = 6
"""Decimals of every probability that is written."""


class AddedColumns:
    """The columns that one job adds: label, probability, decision, top k, all probabilities, explanation, source."""

    def __init__(self, settings: LabellingConfig, labels: Sequence[str], *, is_multi_label: bool) -> None:
        """Fix the names for a model with `labels`; where a text may have several, the label column holds lists."""
        self._settings = settings
        self.is_multi_label = is_multi_label
        self._labels = tuple(labels)
        self._num_top = min(settings.top_k, len(self._labels))
        self.types: dict[str, type] = dict(self._types())
        self.names = tuple(self.types)

    def _types(self) -> Iterator[tuple[str, type]]:
        yield self._settings.label_name, list if self.is_multi_label else str
        yield self._settings.probability_name, float
        if self._settings.decision_name:
            yield self._settings.decision_name, str
        for rank in range(1, self._num_top + 1):
            yield f"{self._settings.label_name}_{rank}", str
            yield f"{self._settings.probability_name}_{rank}", float
        if self._settings.all_probabilities:
            for label in self._labels:
                yield f"{self._settings.probability_name}[{label}]", float
        if self._settings.explanation:
            yield EXPLANATION_COLUMN, str
        if self._settings.source_column:
            yield self._settings.source_column, str

    def check(self, columns: Sequence[str], *, name: str) -> None:
        """Refuse an input that has a column of the same name as an added one.

        Raises:
            InputError: One line a clash; `name` is the file.
        """
        problems = clash_problems(columns, self.names, name=name)
        if problems:
            raise InputError(*problems)

    def clash(self, row: Mapping[str, object]) -> str | None:
        """Return why a row that names its own columns cannot take the added ones, or None."""
        for name in self.names:
            if name in row:
                return f"column {name!r}: labelling adds one of that name; set another in labelling.*_name"
        return None

    def values(
        self,
        predictions: Sequence[RowPrediction],
        probabilities: npt.NDArray[np.float32],
        *,
        explanations: Sequence[str] = (),
    ) -> Iterator[dict[str, object]]:
        """Yield the added values of each of N rows; `probabilities` is (N, L), `explanations` has N where asked for."""
        settings = self._settings
        # Rounded as float64, (N, L): a rounded float32 that becomes a float shows digits behind the last one again.
        rounded = np.round(probabilities.astype(np.float64), PROBABILITY_DIGITS) if self._needs_all else None
        # (N, top k) columns of the best labels; the stable sort keeps the order of labels with equal probabilities.
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, : self._num_top] if self._num_top else None
        for row, prediction in enumerate(predictions):
            is_empty = prediction.decision == "empty"
            values: dict[str, object] = {
                settings.label_name: self._labels_of(prediction),
                settings.probability_name: round(float(prediction.probability), PROBABILITY_DIGITS),
            }
            if settings.decision_name:
                values[settings.decision_name] = str(prediction.decision)
            if order is not None and rounded is not None:
                for rank, column in enumerate(order[row], start=1):
                    values[f"{settings.label_name}_{rank}"] = "" if is_empty else self._labels[column]
                    values[f"{settings.probability_name}_{rank}"] = 0.0 if is_empty else float(rounded[row, column])
            if settings.all_probabilities and rounded is not None:
                for column, label in enumerate(self._labels):
                    values[f"{settings.probability_name}[{label}]"] = 0.0 if is_empty else float(rounded[row, column])
            if settings.explanation:
                values[EXPLANATION_COLUMN] = explanations[row]
            yield values

    def read(self, row: Mapping[str, object]) -> dict[str, object]:
        """Return the added values that stand in a row of an output, as `values` gave them; without the source.

        Raises:
            KeyError: The row lacks a column.
            ValueError: A cell is not what `values` gives.
        """
        found: dict[str, object] = {}
        for name, kind in self.types.items():
            if name == self._settings.source_column:
                continue
            value = row[name]
            if kind is float:
                # Numbers of JSON and cells of CSV keep their text, so that the same number is read and written again.
                text = cell_text(value)
                found[name] = float(text.replace(",", ".") if self._settings.decimal_comma else text)
            elif kind is list:
                found[name] = parse_array(value) if isinstance(value, str) else plain_value(value)
            else:
                found[name] = cell_text(value)
        return found

    @property
    def _needs_all(self) -> bool:
        return self._num_top > 0 or self._settings.all_probabilities

    def _labels_of(self, prediction: RowPrediction) -> str | list[str]:
        match str(prediction.decision):
            case "empty":
                labels = [self._settings.empty_label] if self._settings.empty_label else []
            case "abstained" if self._settings.abstain_label:
                labels = [self._settings.abstain_label]
            case _:
                labels = list(prediction.labels)
        # A list and not one text with separators: a label may hold any separator.
        return labels if self.is_multi_label else "".join(labels)


# The words that counted: what a label's probability loses when a word is left out of the text.

MAX_WORDS = 100
"""Only the first distinct words of a text are tried."""
NUM_SHOWN = 5
_LEAST_LOSS = 0.005
"""Smaller losses are not shown."""


def explain_rows(texts: Sequence[str], probabilities: npt.NDArray[np.float32], classifier: RowClassifier) -> list[str]:
    """Return for each of N texts its weightiest words with the probability that each adds.

    Example: "bank 0.41; shares 0.20" says that without "bank" the label's probability, one of the (N, L)
    `probabilities`, falls by 0.41.
    """
    explanations = []
    for text, row in zip(texts, probabilities, strict=True):
        words = list(dict.fromkeys(text.split()))[:MAX_WORDS]
        if not words:
            explanations.append("")
            continue
        # The most probable label of the whole text is the one that is explained.
        best = int(row.argmax())
        # (W, L) probabilities: the text W times, each time without one of its words.
        without = classifier.predict_proba([_without(text, word) for word in words])
        # (W,) what that label loses; negative where the word spoke against it.
        losses = float(row[best]) - without[:, best].astype(np.float64)
        order = np.argsort(-losses, kind="stable")[:NUM_SHOWN]
        shown = [f"{words[index]} {losses[index]:.2f}" for index in order if losses[index] >= _LEAST_LOSS]
        explanations.append("; ".join(shown))
    return explanations


def _without(text: str, word: str) -> str:
    return " ".join(other for other in text.split() if other != word)
