"""Accuracy of the shipped experiments over several seeds, beside TF-IDF + LinearSVC on the same rows.

    python benchmarks/results.py [CORPUS ...] [--seeds N] [--jobs N] [--finished] [--output docs/results.md]

Every seed is a whole `textlstm train experiment=CORPUS` with its share of the cores; finished seeds are kept under
.bench/results, so that an interrupted call continues. With `--output`, each kind of table is written between its marks
in the page. Corpora are found through TEXTLSTM_CORPORA (bbc comes from an installed package).
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from experiments import (
    TRAININGS,
    Difference,
    correct_rows,
    experiment_settings,
    found_corpora,
    is_trained,
    paired_difference,
    publish,
    spread,
    train_once,
)
from several_labels import SEVERAL_LABELS, summarize_several, table_of_several
from textlstm.cli.settings import compose_config
from textlstm.config import TrainConfig, TrainingConfig
from textlstm.corpus.preparation.prepare import prepare_corpus

CORPORA = (
    *("bbc", "r8", "r52", "20ng", "mr", "ag_news_10k", "trec6", "sst2"),
    *("banking77", "clinc150", "snips", "sms_spam", "imdb"),
)
NUM_CORES = os.cpu_count() or 1
NUM_SEEDS = {"imdb": 3, "goemotions": 3}
TEXTGCN = {
    "20ng": "73.18 ±1.85",
    "r8": "96.31 ±.33",
    "r52": "90.54 ±.91",
    "mr": "77.68 ±.86",
}
"""Bi-LSTM (GloVe), test accuracy of Yao, Mao and Luo, Graph Convolutional Networks for Text Classification (2019)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Figures of one corpus over its seeds."""

    corpus: str
    accuracy: list[float]
    macro_f1: list[float]
    recurrent: list[float]
    expert: list[float]
    baseline: float
    baseline_macro_f1: float
    difference: Difference
    """Mean accuracy over seeds less the baseline's, with a 95 % paired bootstrap interval over rows."""
    seconds: list[float]


def main() -> int:
    """Train what is missing, print the table, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*", default=[*CORPORA, *SEVERAL_LABELS])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=NUM_CORES, help="trainings at once; they share the cores")
    parser.add_argument("--finished", action="store_true", help="train nothing: the table of the seeds that are there")
    parser.add_argument("--output", default="")
    arguments = parser.parse_args()
    num_threads = max(1, NUM_CORES // arguments.jobs)
    found = [
        (
            corpus,
            data,
            [seed for seed in seeds_of(corpus, arguments.seeds) if not arguments.finished or is_done(corpus, seed)],
        )
        for corpus, data in found_corpora(arguments.corpora)
    ]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        trainings = [
            (corpus, [pool.submit(train, corpus, seed, data, num_threads=num_threads) for seed in seeds])
            for corpus, data, seeds in found
            if seeds
        ]
    folders = {corpus: [training.result() for training in seeds] for corpus, seeds in trainings}
    one_label = [
        summarize(corpus, folders[corpus], data)
        for corpus, data, _ in found
        if corpus not in SEVERAL_LABELS and corpus in folders
    ]
    if one_label:
        publish(table(one_label, num_jobs=arguments.jobs), arguments.output, section="one label")
    of_several = [
        summarize_several(corpus, folders[corpus], data)
        for corpus, data, _ in found
        if corpus in SEVERAL_LABELS and corpus in folders
    ]
    if of_several:
        publish(table_of_several(of_several), arguments.output, section="several labels")
    return 0


def seeds_of(corpus: str, most: int) -> range:
    """Return the seeds to train of a corpus."""
    return range(1, min(most, NUM_SEEDS.get(corpus, most)) + 1)


def is_done(corpus: str, seed: int) -> bool:
    """Return whether an earlier call has trained this seed."""
    return is_trained(TRAININGS / corpus / f"seed-{seed}")


def train(corpus: str, seed: int, data: Sequence[str], *, num_threads: int) -> Path:
    """Train one seed unless it is there; return its evaluation folder."""
    settings = experiment_settings(corpus, data, seed=seed, prepared_dir=TRAININGS / "prepared")
    # Trainings that share the cores get the time that each would have alone.
    minutes = TrainingConfig().minutes * max(1, NUM_CORES // num_threads)
    shared = [f"training.num_threads={num_threads}", f"training.minutes={minutes:g}"]
    return train_once(TRAININGS / corpus / f"seed-{seed}", [*settings, *shared])


class WordBaseline(NamedTuple):
    """TF-IDF of word 1-2 grams + LinearSVC on test rows."""

    correct: np.ndarray
    """(N,) bool."""
    macro_f1: float


def word_baseline(corpus: str, data: Sequence[str]) -> WordBaseline:
    """Fit it on the prepared training and validation rows of a corpus; figures of other years are comparable by it.

    The baseline of a run is the better of words and characters.
    """
    prepared_dir = TRAININGS / "prepared"
    config: TrainConfig = compose_config(
        "train", TrainConfig, experiment_settings(corpus, data, seed=1, prepared_dir=prepared_dir)
    )
    prepared = prepare_corpus(config.data, config.text, prepared_dir=prepared_dir, num_workers=1)
    splits = [split for split in (prepared.train, prepared.validation) if split is not None]
    assert prepared.test is not None
    texts = [text for split in splits for text in split.texts()]
    targets = np.concatenate([split.targets(prepared.labels, prepared.task) for split in splits])
    machine = make_pipeline(TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)), LinearSVC(random_state=0))
    decided = machine.fit(texts, targets).predict(prepared.test.texts())
    wanted = prepared.test.targets(prepared.labels, prepared.task)
    return WordBaseline(decided == wanted, float(f1_score(wanted, decided, average="macro")))


def summarize(corpus: str, folders: list[Path], data: Sequence[str]) -> Outcome:
    """Read the figures of all seeds of a corpus."""
    figures = [json.loads((folder / "metrics.json").read_text()) for folder in folders]
    models = [figure["models"] for figure in figures]
    correct = np.mean([correct_rows(folder) for folder in folders], axis=0)
    words = word_baseline(corpus, data)
    return Outcome(
        corpus=corpus,
        accuracy=[figure["accuracy"] for figure in figures],
        macro_f1=[figure["macro_f1"] for figure in figures],
        recurrent=[model["recurrent"]["accuracy"] for model in models],
        expert=[model["expert"]["accuracy"] for model in models],
        baseline=float(words.correct.mean()),
        baseline_macro_f1=words.macro_f1,
        difference=paired_difference(correct - words.correct),
        seconds=[json.loads((folder / "seconds.json").read_text()) for folder in folders],
    )


def table(outcomes: list[Outcome], *, num_jobs: int) -> str:
    """Return the page: one row a corpus."""
    lines = [
        "Test accuracy and macro-F1 in %, mean ± standard deviation over seeds.",
        "LinearSVC is TF-IDF of word 1-2 grams, trained in the same run on the same rows (train and validation).",
        "The difference is that of accuracies, with a 95 % paired bootstrap interval over test rows.",
        f"Made by `make results` on {NUM_CORES} CPU cores, shared by {num_jobs} trainings at once. Seconds of a seed",
        "are those of one such training, scoring included.",
        "",
        "| corpus | seeds | together | macro-F1 | recurrent alone | expert alone | LinearSVC "
        "| its macro-F1 | difference | TextGCN paper's Bi-LSTM | seconds a seed |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        cells = (
            outcome.corpus,
            str(len(outcome.accuracy)),
            spread(outcome.accuracy),
            spread(outcome.macro_f1),
            spread(outcome.recurrent),
            spread(outcome.expert),
            f"{100 * outcome.baseline:.2f}",
            f"{100 * outcome.baseline_macro_f1:.2f}",
            outcome.difference.in_points(),
            TEXTGCN.get(outcome.corpus, ""),
            f"{statistics.mean(outcome.seconds):.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
