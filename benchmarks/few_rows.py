"""Accuracy with few rows a class: the default settings beside TF-IDF + LinearSVC and the linear expert alone.

    python benchmarks/few_rows.py [CORPUS ...] [--rows 8 16 64] [--draws 5] [--output docs/how-to/choosing-settings.md]

A draw is that many random training rows of each class; a tenth of them is the validation split, as `textlstm train`
takes it. All systems learn from the same rows and are measured on the whole test split. Corpora are found through
TEXTLSTM_CORPORA; finished draws are kept under
.bench/few_rows.
"""

import argparse
import csv
import gzip
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments import BENCH, FOLDERS, corpora_dir, publish

CORPORA = ("trec6", "banking77", "clinc150", "sst2", "ag_news_10k")
FEW_ROWS = BENCH / "few_rows"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Test accuracies of one draw, in [0, 1]."""

    together: float
    expert: float
    baseline: float
    """TF-IDF of word 1-2 grams + LinearSVC."""


def main() -> int:
    """Train every draw that is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*", default=CORPORA)
    parser.add_argument("--rows", type=int, nargs="+", default=[8, 16, 64])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--output", default="")
    arguments = parser.parse_args()
    lines = [
        f"Test accuracy in %, mean of {arguments.draws} draws of so many training rows a class; default settings.",
        "",
        "| rows a class | corpus | textlstm | its expert alone | LinearSVC, words 1-2 | difference |",
        "|---|---|---|---|---|---|",
    ]
    for num_rows in arguments.rows:
        means = []
        for corpus in arguments.corpora:
            draws = [outcome_of(corpus, num_rows, seed) for seed in range(1, arguments.draws + 1)]
            means.append(mean_outcome(draws))
            lines.append(row(num_rows, corpus, means[-1]))
            print(lines[-1], file=sys.stderr, flush=True)
        lines.append(row(num_rows, "mean", mean_outcome(means)))
    publish("\n".join(lines) + "\n", arguments.output, section="few rows")
    return 0


def mean_outcome(outcomes: list[Outcome]) -> Outcome:
    """Return the mean of each accuracy."""
    return Outcome(
        statistics.mean(outcome.together for outcome in outcomes),
        statistics.mean(outcome.expert for outcome in outcomes),
        statistics.mean(outcome.baseline for outcome in outcomes),
    )


def row(num_rows: int, corpus: str, outcome: Outcome) -> str:
    """Return one line of the table."""
    numbers = (outcome.together, outcome.expert, outcome.baseline)
    cells = " | ".join(f"{100 * number:.1f}" for number in numbers)
    return f"| {num_rows} | {corpus} | {cells} | {100 * (outcome.together - outcome.baseline):+.1f} |"


def outcome_of(corpus: str, num_rows: int, seed: int) -> Outcome:
    """Train on a draw unless that was done; return its accuracies."""
    folder = FEW_ROWS / f"{corpus}-{num_rows}-{seed}"
    metrics = folder / "model-evaluation" / "metrics.json"
    if not metrics.exists():
        folder.mkdir(parents=True, exist_ok=True)
        train, test = folder / "train.csv", FEW_ROWS / f"{corpus}-test.csv"
        write_rows(train, draw(list(read_rows(corpus, "train")), num_rows, seed=seed))
        if not test.exists():
            write_rows(test, list(read_rows(corpus, "test")))
        settings = ["data=files", f"data.train={train}", f"data.test={test}", "tracking=off", f"seed={seed}"]
        settings += [f"output_dir={folder / 'model'}", "overwrite=true", f"prepared_dir={FEW_ROWS / 'prepared'}"]
        command = [sys.executable, "-m", "textlstm", "train", *settings, "evaluation.report=false"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    figures = json.loads(metrics.read_text(encoding="utf-8"))
    models = figures["models"]
    return Outcome(figures["accuracy"], models["expert"]["accuracy"], word_baseline(folder, corpus))


def word_baseline(folder: Path, corpus: str) -> float:
    """Return the test accuracy of word 1-2 grams + LinearSVC on the rows of a draw."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    texts, labels = read_csv(folder / "train.csv")
    test_texts, test_labels = read_csv(FEW_ROWS / f"{corpus}-test.csv")
    machine = make_pipeline(TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)), LinearSVC())
    return float(machine.fit(texts, labels).score(test_texts, test_labels))


def read_rows(corpus: str, split: str) -> Iterator[tuple[str, str]]:
    """Yield text and label of each row, without those out of scope."""
    path = corpora_dir() / FOLDERS.get(corpus, corpus) / f"{split}.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            content = json.loads(line)
            if content["label"] != "oos":
                yield content["text"], content["label"]


def draw(rows: list[tuple[str, str]], num_rows: int, *, seed: int) -> list[tuple[str, str]]:
    """Return so many random rows of each class, in random order."""
    random = np.random.default_rng(seed)
    labels = np.array([label for _, label in rows])
    chosen = [random.permutation(np.flatnonzero(labels == label))[:num_rows] for label in np.unique(labels)]
    return [rows[i] for i in random.permutation(np.concatenate(chosen))]


def write_rows(path: Path, rows: list[tuple[str, str]]) -> None:
    """Write a CSV file with the columns text and label."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        writer.writerows(rows)


def read_csv(path: Path) -> tuple[list[str], list[str]]:
    """Return the texts and the labels that `write_rows` wrote."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [each["text"] for each in rows], [each["label"] for each in rows]


if __name__ == "__main__":
    sys.exit(main())
