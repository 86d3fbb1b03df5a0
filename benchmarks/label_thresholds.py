"""Rows with several labels, few and many: the default model beside LinearSVC with thresholds found as well as ours.

    python benchmarks/label_thresholds.py [CORPUS] [--rows 1500 5000 0] [--minutes 2] [--output docs/results.md]

So many random rows of the training file (0: all) are what a user has; `textlstm train` takes its validation rows from
them, and every figure is of the whole test file. LinearSVC is one machine a label on TF-IDF of word 1-2 grams: as it
ships, and with thresholds a label from out-of-fold margins of all its rows, found by the same code as the model's.
Finished trainings are kept under .bench/label_thresholds.
"""

import argparse
import gzip
import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.model_selection import cross_val_predict
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from experiments import BENCH, corpora_dir, publish, train_once
from several_labels import read_rows
from textlstm.evaluation.label_thresholds import fit_label_thresholds

FOLDER = BENCH / "label_thresholds"
_NUM_FOLDS = 5


class Scores(NamedTuple):
    """Figures of the test rows, in [0, 1]."""

    micro_f1: float
    macro_f1: float
    subset_accuracy: float


def main() -> int:
    """Train every size that is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", default="goemotions")
    parser.add_argument("--rows", type=int, nargs="+", default=[1500, 5000, 0])
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--output", default="")
    arguments = parser.parse_args()
    lines = [
        f"{arguments.corpus}: figures of all test rows in %; one seed, default settings with",
        f"`training.minutes={arguments.minutes:g}`. LinearSVC: TF-IDF of word 1-2 grams, one machine a label; its",
        "thresholds are found on out-of-fold margins of all its rows, by the code that finds the model's.",
        "",
        "| training rows | system | micro-F1 | macro-F1 | every label right |",
        "|---|---|---|---|---|",
    ]
    for num_rows in arguments.rows:
        folder = FOLDER / f"{arguments.corpus}-{num_rows or 'all'}"
        used = draw_rows(arguments.corpus, num_rows, folder / "train.jsonl.gz")
        for name, scores in scores_of(arguments.corpus, folder, minutes=arguments.minutes).items():
            cells = " | ".join(f"{100 * score:.2f}" for score in scores)
            lines.append(f"| {used:,} | {name} | {cells} |")
            print(lines[-1], file=sys.stderr, flush=True)
    publish("\n".join(lines) + "\n", arguments.output, section="label thresholds")
    return 0


def draw_rows(corpus: str, num_rows: int, path: Path) -> int:
    """Write so many random training rows to `path`; return how many there are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(corpora_dir() / corpus / "train.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = file.readlines()
    chosen = np.random.default_rng(1).permutation(len(rows))[: num_rows or len(rows)]
    if not path.exists():
        with gzip.open(path, "wt", encoding="utf-8") as file:
            file.writelines(rows[row] for row in chosen)
    return len(chosen)


def scores_of(corpus: str, folder: Path, *, minutes: float) -> dict[str, Scores]:
    """Return the figures of the model and of LinearSVC, both learned from the rows in `folder`."""
    train, test = folder / "train.jsonl.gz", corpora_dir() / corpus / "test.jsonl.gz"
    settings = ["data=files", f"data.train={train}", f"data.test={test}", "data.labels_column=labels"]
    settings += ["data.rare_label=keep", f"training.minutes={minutes:g}", f"prepared_dir={FOLDER / 'prepared'}"]
    evaluation = train_once(folder / "model", [*settings, "tracking=off"])
    figures = json.loads((evaluation / "metrics.json").read_text(encoding="utf-8"))
    own = Scores(figures["micro_f1"], figures["macro_f1"], figures["subset_accuracy"])
    return {"textlstm": own, **linear_scores(train, test)}


def linear_scores(train: Path, test: Path) -> dict[str, Scores]:
    """Return the figures of LinearSVC as it ships and with thresholds."""
    rows, tested = read_rows(train), read_rows(test)
    labels = sorted({label for _, names in (*rows, *tested) for label in names})
    texts, test_texts = ([text for text, _ in part] for part in (rows, tested))
    targets, wanted = (np.array([[label in names for label in labels] for _, names in part]) for part in (rows, tested))
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    machine = make_pipeline(words, OneVsRestClassifier(LinearSVC(random_state=0)))
    # Margins of each row by machines that were trained without it.
    out_of_fold = cross_val_predict(machine, texts, targets.astype(int), cv=_NUM_FOLDS, method="decision_function")
    thresholds = fit_label_thresholds(_share(out_of_fold), targets)
    margins = machine.fit(texts, targets.astype(int)).decision_function(test_texts)
    return {
        "LinearSVC": _scores(margins > 0, wanted),
        "LinearSVC with thresholds": _scores(_share(margins) >= thresholds, wanted),
    }


def _share(margins: np.ndarray) -> np.ndarray:
    shares: np.ndarray = 1 / (1 + np.exp(-margins))
    return shares


def _scores(decided: np.ndarray, wanted: np.ndarray) -> Scores:
    # Labels that occur neither as truth nor as decision are left out, as in the model's figures.
    present = np.flatnonzero(wanted.any(axis=0) | decided.any(axis=0))
    micro, macro = (
        float(f1_score(wanted, decided, average=kind, labels=present, zero_division=0)) for kind in ("micro", "macro")
    )
    return Scores(micro, macro, float((wanted == decided).all(axis=1).mean()))


if __name__ == "__main__":
    sys.exit(main())
