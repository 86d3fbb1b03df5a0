"""Rows that a person must label until a model is nearly as good as on all rows: by `textlstm review`, or at random.

    python benchmarks/review.py [CORPUS ...] [--seeds 5] [--batch 50] [--share 0.95]

From 2 rows a class on, a model labels what is left; `batch` rows of it are chosen and get their true labels; and so on,
until the accuracy on the test rows is `share` of that of all training rows. The model is TF-IDF with a LinearSVC, so
that the simulation takes minutes; rows are chosen by the product's own code, by the doubts of that model. Curves are
written to .bench/review.json.
"""

import argparse
import gzip
import json
import os
import statistics
import sys
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from textlstm.labelling.corrections.selection import choose_spread

ROOT = Path(__file__).resolve().parent.parent
CORPORA = ("trec6", "ag_news_10k", "banking77")
_FIRST = 2
"""Rows of each class at the start."""


class Corpus:
    """Texts as TF-IDF rows, and labels, of one corpus."""

    def __init__(self, folder: Path) -> None:
        """Read the training and the test rows."""
        train, test = (_rows(folder / f"{split}.jsonl.gz") for split in ("train", "test"))
        self.texts = [text for text, _ in train]
        self.labels = np.array([label for _, label in train])
        self.test_labels = np.array([label for _, label in test])
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
        self.features = vectorizer.fit_transform(self.texts)
        self.test_features = vectorizer.transform([text for text, _ in test])

    def fitted(self, places: np.ndarray) -> LinearSVC:
        """Return the model of the training rows at `places`."""
        return LinearSVC().fit(self.features[places], self.labels[places])

    def accuracy(self, model: LinearSVC) -> float:
        """Return the share of test rows that the model has right."""
        return float((model.predict(self.test_features) == self.test_labels).mean())


def main() -> int:
    """Simulate each corpus with each seed, print a table, write the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*", default=CORPORA)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--share", type=float, default=0.95)
    arguments = parser.parse_args()
    folder = Path(os.environ.get("TEXTLSTM_CORPORA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        print(f"skipped: no corpora at {folder}; set TEXTLSTM_CORPORA", file=sys.stderr)
        return 0
    curves: dict[str, object] = {}
    print("| corpus | all rows | accuracy | goal | chosen | random | chosen by random |\n|---|---|---|---|---|---|---|")
    for name in arguments.corpora:
        corpus = Corpus(folder / name)
        full = corpus.accuracy(corpus.fitted(np.arange(len(corpus.texts))))
        goal = arguments.share * full
        found = {
            way: [
                simulate(corpus, goal, way == "chosen", seed=seed, batch=arguments.batch)
                for seed in range(arguments.seeds)
            ]
            for way in ("chosen", "random")
        }
        chosen, random = (statistics.mean(curve[-1][0] for curve in found[way]) for way in ("chosen", "random"))
        print(
            f"| {name} | {len(corpus.texts):,} | {full:.4f} | {goal:.4f} | {chosen:,.0f} | {random:,.0f} | "
            f"{chosen / random:.2f} |",
            flush=True,
        )
        curves[name] = found
    path = ROOT / ".bench" / "review.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(curves))
    return 0


def simulate(corpus: Corpus, goal: float, is_chosen: bool, *, seed: int, batch: int) -> list[tuple[int, float]]:
    """Return the curve of rows and accuracy, up to the first point at the goal or all rows."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(corpus.texts))
    known = np.concatenate([order[corpus.labels[order] == label][:_FIRST] for label in np.unique(corpus.labels)])
    curve: list[tuple[int, float]] = []
    while True:
        model = corpus.fitted(known)
        curve.append((len(known), corpus.accuracy(model)))
        left = order[~np.isin(order, known)]
        if curve[-1][1] >= goal or not len(left):
            return curve
        # `left` is in random order already.
        places = left[:batch]
        if is_chosen:
            places = left[
                choose_spread(
                    [corpus.texts[place] for place in left], doubt(model, corpus, left), num_rows=batch, seed=seed
                )
            ]
        known = np.concatenate([known, places])


def doubt(model: LinearSVC, corpus: Corpus, places: np.ndarray) -> np.ndarray:
    """Return 1 minus the probability of the best label, from a softmax of the decision function, for each place."""
    scores = model.decision_function(corpus.features[places])
    scores = np.exp(4 * (scores - scores.max(axis=1, keepdims=True)))
    return np.asarray(1 - scores.max(axis=1) / scores.sum(axis=1))


def _rows(path: Path) -> list[tuple[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [(row["text"], str(row["label"])) for row in map(json.loads, lines)]


if __name__ == "__main__":
    sys.exit(main())
