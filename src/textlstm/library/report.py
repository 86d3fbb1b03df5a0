"""Figures of a classifier on labeled texts, as `TextClassifier.evaluate` returns them."""

import html
from typing import NamedTuple

from textlstm.evaluation.evaluate import BASELINE, Evaluation
from textlstm.evaluation.metrics import Metrics


class Figure(NamedTuple):
    """A figure and where it would fall for other rows of the kind."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return value and interval with four digits."""
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


class EvaluationReport:
    """Figures of a classifier on N labeled texts, beside TF-IDF + LinearSVC on the same rows.

    Example:
        report = classifier.evaluate(texts, labels)
        report.figures["accuracy"].value, report.baseline["accuracy"].value
    """

    def __init__(self, evaluation: Evaluation) -> None:
        """Take the results of an evaluation."""
        self.evaluation = evaluation
        """Everything: calibration, slices, confused pairs, hardest rows."""

    @property
    def num_rows(self) -> int:
        """N."""
        return self.evaluation.rows.num_rows

    @property
    def figures(self) -> dict[str, Figure]:
        """The figures that have an interval, by name: accuracy, macro_f1 and others."""
        return _figures(self.evaluation.metrics)

    @property
    def baseline(self) -> dict[str, Figure]:
        """Those of TF-IDF + LinearSVC on the training rows; empty for a model without (`evaluation.baseline=false`)."""
        found = self.evaluation.others.get(BASELINE)
        return {} if found is None else _figures(found)

    @property
    def comparison(self) -> str:
        """Whether the classifier is ahead of the baseline beyond chance, in a sentence; empty without baseline."""
        if BASELINE not in self.evaluation.others:
            return ""
        # Comparisons stand in the order of `others`.
        return self.evaluation.comparisons[list(self.evaluation.others).index(BASELINE)].sentence

    @property
    def warnings(self) -> tuple[str, ...]:
        """The limits of the figures, in sentences."""
        return self.evaluation.warnings

    def to_dict(self) -> dict[str, float]:
        """Return every figure by name, those of branches and baselines too."""
        return self.evaluation.flat_metrics()

    def _table(self) -> list[tuple[str, str, str]]:
        # With several labels a row there is no plain accuracy.
        one_label = ("accuracy", "macro_f1")
        main = one_label if "accuracy" in self.figures else ("subset_accuracy", "micro_f1", "macro_f1")
        baseline = self.baseline
        return [(name, str(self.figures[name]), str(baseline.get(name, ""))) for name in main]

    def __repr__(self) -> str:
        """Return the main figures as lines."""
        head = f"{self.num_rows:,} rows, {self.evaluation.config.confidence:.0%} intervals"
        lines = [
            f"{name:16} {value}" + (f"   baseline {other}" if other else "") for name, value, other in self._table()
        ]
        return "\n".join([head, *lines, *([self.comparison] if self.comparison else []), *self.warnings])

    def _repr_html_(self) -> str:
        """Return the main figures as a table, for notebooks."""
        head = "<tr><th></th><th>this model</th><th>TF-IDF + LinearSVC</th></tr>"
        rows = "".join(
            f"<tr><th>{name}</th><td>{value}</td><td>{other}</td></tr>" for name, value, other in self._table()
        )
        lines = "".join(f"<p>{html.escape(line)}</p>" for line in (self.comparison, *self.warnings) if line)
        return f"<table><caption>{self.num_rows:,} rows</caption>{head}{rows}</table>{lines}"


def _figures(metrics: Metrics) -> dict[str, Figure]:
    return {
        name: Figure(metrics.values[name], interval.low, interval.high) for name, interval in metrics.intervals.items()
    }
