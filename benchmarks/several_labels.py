"""The table of corpora whose rows have several labels: micro- and macro-F1 beside linear one-vs-rest machines.

`results.py` prints it. There are two linear bars: the baseline that every model is evaluated beside, LinearSVC as it
ships, whose threshold is a margin of 0; and the same machine with a threshold a label, found on validation rows as the
model's are, so that the comparison is not one of thresholds.
"""

import gzip
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import f1_score

from experiments import Difference, spread
from textlstm.config import Task
from textlstm.evaluation.label_thresholds import fit_label_thresholds
from textlstm.models.linear.expert import LinearExpert

SEVERAL_LABELS = ("goemotions",)


@dataclass(frozen=True, slots=True)
class SeveralLabelsOutcome:
    """Figures of one corpus over its seeds; each system has its micro- and its macro-F1."""

    corpus: str
    systems: dict[str, tuple[list[float], list[float]]]
    difference: Difference
    """Macro-F1 of the last seed's model less that of the baseline, with a 95 % paired bootstrap interval over rows."""
    seconds: list[float]


def summarize_several(corpus: str, folders: Sequence[Path], data: Sequence[str]) -> SeveralLabelsOutcome:
    """Read the figures of all seeds of a corpus, and fit the linear machine with thresholds."""
    figures = [json.loads((folder / "metrics.json").read_text(encoding="utf-8")) for folder in folders]
    models = [figure["models"] for figure in figures]
    systems = {
        name: ([model[key]["micro_f1"] for model in models], [model[key]["macro_f1"] for model in models])
        for name, key in (("together", "together"), ("recurrent alone", "recurrent"), ("expert alone", "expert"))
    }
    baseline = models[0]["baseline"]
    systems["LinearSVC"] = ([baseline["micro_f1"]], [baseline["macro_f1"]])
    files = dict(setting.removeprefix("data.").split("=", 1) for setting in data if setting.startswith("data."))
    micro_f1, macro_f1 = linear_with_thresholds({name: Path(files[name]) for name in ("train", "validation", "test")})
    systems["LinearSVC, thresholds of validation"] = ([micro_f1], [macro_f1])
    against = figures[-1]["comparisons"]["baseline"]
    return SeveralLabelsOutcome(
        corpus,
        systems,
        Difference(against["macro_f1_difference"], *against["macro_f1_interval"]),
        [json.loads((folder / "seconds.json").read_text(encoding="utf-8")) for folder in folders],
    )


def linear_with_thresholds(files: dict[str, Path]) -> tuple[float, float]:
    """Return micro- and macro-F1 on test rows: machines fitted on training rows, thresholds on validation rows.

    Validation and test rows that are also in train are dropped, as `data.drop_leaked=true` does.
    """
    rows = {name: read_rows(path) for name, path in files.items()}
    known = {text for text, _ in rows["train"]}
    for name in ("validation", "test"):
        rows[name] = [row for row in rows[name] if row[0] not in known]
    labels = sorted({label for _, names in rows["train"] for label in names})
    texts = {name: [text for text, _ in part] for name, part in rows.items()}
    targets = {
        name: np.array([[label in names for label in labels] for _, names in part]) for name, part in rows.items()
    }
    machine = LinearExpert.fit_baseline(
        texts["train"], targets["train"].astype(np.float32), num_labels=len(labels), task=Task.multi_label, seed=0
    )
    probabilities = {name: 1 / (1 + np.exp(-machine.logits(texts[name]))) for name in ("validation", "test")}
    decided = probabilities["test"] >= fit_label_thresholds(probabilities["validation"], targets["validation"])
    micro_f1, macro_f1 = (f1_score(targets["test"], decided, average=kind) for kind in ("micro", "macro"))
    return float(micro_f1), float(macro_f1)


def read_rows(path: Path) -> list[tuple[str, list[str]]]:
    """Return text and labels of each row of a gzipped JSONL file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [(row["text"], row["labels"]) for row in map(json.loads, file)]


def table_of_several(outcomes: Sequence[SeveralLabelsOutcome]) -> str:
    """Return the section: one row a system."""
    lines = [
        "Rows with several labels: micro- and macro-F1 of test rows in %, mean ± standard deviation over seeds.",
        "LinearSVC is one machine a label on TF-IDF of word 1-2 grams: as it ships (margin above 0), and with a",
        "threshold a label found on validation rows, as the model has. The difference is that of macro-F1 of the",
        "last seed to LinearSVC as it ships, with a 95 % paired bootstrap interval over test rows.",
        "",
        "| corpus | seeds | system | micro-F1 | macro-F1 | difference | seconds a seed |",
        "|---|---|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        for name, (micro_f1, macro_f1) in outcome.systems.items():
            seeds, difference, seconds = "", "", ""
            if name == "together":
                seconds = f"{statistics.mean(outcome.seconds):.0f}"
                difference = outcome.difference.in_points()
                seeds = str(len(outcome.seconds))
            scores = [spread(found) if len(found) > 1 else f"{100 * found[0]:.2f}" for found in (micro_f1, macro_f1)]
            lines.append(f"| {outcome.corpus} | {seeds} | {name} | {' | '.join(scores)} | {difference} | {seconds} |")
    return "\n".join(lines) + "\n"
