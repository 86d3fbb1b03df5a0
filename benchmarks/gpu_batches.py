"""What the batches of a GPU cost in accuracy: the same batches on a CPU, beside those that a CPU has by default.

    python benchmarks/gpu_batches.py [CORPUS ...] [--seeds N] [--output docs/gpu.md]

Every setting is chosen as `textlstm train` chooses it, once for a CPU and once for a GPU, at an assumed speed so that
both have the same options; they differ in `training.batch_tokens` alone. All trainings run on the CPU. Finished ones
are kept under .bench/gpu_batches, so that an interrupted call continues. Corpora are found through TEXTLSTM_CORPORA.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments import BENCH, experiment_settings, found_corpora, publish, spread
from textlstm.cli.settings import compose_config
from textlstm.config import Device, ModelConfig, TrainConfig, TrainingConfig
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.fitting import fit_classifier, resolve
from textlstm.fitting.auto_network import DataSize, choose_sizes
from textlstm.inference.classifier import TextClassifier

WORK = BENCH / "gpu_batches"
SHARED = ("training.device=cpu", "training.num_threads=1", "evaluation.baseline=false")


class Ways(NamedTuple):
    """The settings of a training on a CPU, and with the batches of a GPU."""

    corpus: PreparedCorpus
    rows: TrainConfig
    tokens: TrainConfig


def main() -> int:
    """Train what is missing, print the table, write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*", default=["r8", "ag_news_10k", "imdb"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", default="")
    arguments = parser.parse_args()
    lines = header(arguments.seeds)
    for name, data in found_corpora(arguments.corpora):
        ways = both_ways(name, data)
        # The two ways take turns, so that an interrupted call has equal numbers of both.
        found: dict[str, list[dict[str, float]]] = {"rows": [], "tokens": []}
        for seed in range(1, arguments.seeds + 1):
            for way, config in (("rows", ways.rows), ("tokens", ways.tokens)):
                found[way].append(train_once(name, ways.corpus, replace(config, seed=seed), way=way))
        for way, config in (("rows", ways.rows), ("tokens", ways.tokens)):
            lines.append(row(name, config.training, found[way]))
    publish("\n".join(lines) + "\n", arguments.output, section="gpu batches")
    return 0


def both_ways(name: str, data: list[str]) -> Ways:
    """Return the corpus and its settings, with batches of rows and with the tokens that a GPU would have."""
    given = [*experiment_settings(name, data, seed=1, prepared_dir=WORK / "prepared"), *SHARED]
    config: TrainConfig = compose_config("train", TrainConfig, given)
    corpus = prepare_corpus(
        config.data, config.text, prepared_dir=Path(config.prepared_dir), num_workers=config.num_workers
    )
    rows = resolve(config, corpus, measure_speed=False).config
    assert corpus.train is not None
    assert corpus.validation is not None
    size = DataSize(
        num_rows=len(corpus.train),
        num_validation_rows=len(corpus.validation),
        num_tokens=int(np.minimum(np.diff(corpus.train.offsets()), rows.model.max_tokens).sum()),
        num_labels=len(corpus.labels),
    )
    free = frozenset({"training.batch_size", "training.batch_tokens"})
    on_gpu = choose_sizes(size, ModelConfig(), TrainingConfig(), free, on_gpu=True).training.batch_tokens
    return Ways(corpus, rows, replace(rows, training=replace(rows.training, batch_tokens=on_gpu)))


def train_once(name: str, corpus: PreparedCorpus, config: TrainConfig, *, way: str) -> dict[str, float]:
    """Train one way and seed unless that was done; return its figures."""
    kept = WORK / name / f"{way}-{config.training.batch_tokens}-seed-{config.seed}.json"
    if not kept.exists():
        assert corpus.test is not None
        began = time.process_time()
        fitted = fit_classifier(corpus, config)
        best = fitted.results[0].history[fitted.results[0].best_epoch - 1]
        classifier = TextClassifier(fitted.saved_model, device=Device.cpu, num_threads=1)
        scores = classifier.score_prepared(corpus.test.tokenized(), corpus.test.texts())
        wanted = corpus.test.targets(corpus.labels, corpus.task)
        figures = {
            "accuracy": float((scores.probabilities.argmax(axis=1) == wanted).mean()),
            "recurrent": float((scores.recurrent_logits.argmax(axis=1) == wanted).mean()),
            "validation": best.accuracy,
            "steps": float(best.num_steps),
            "seconds": time.process_time() - began,
        }
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(figures), encoding="utf-8")
        print(f"{name} {way} seed {config.seed}: {figures}", file=sys.stderr, flush=True)
    found: dict[str, float] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def header(num_seeds: int) -> list[str]:
    """Return the top of the table."""
    return [
        f"Trainings on a CPU with default settings, mean ± standard deviation of {num_seeds} seeds, in %;",
        "validation is that of the network alone at its best epoch.",
        "",
        "| corpus | a batch | steps an epoch | test accuracy | network alone | validation | processor seconds |",
        "|---|---|---|---|---|---|---|",
    ]


def row(name: str, training: TrainingConfig, figures: list[dict[str, float]]) -> str:
    """Return the line of one way."""
    batch = f"{training.batch_tokens:,} tokens" if training.batch_tokens else f"{training.batch_size} rows"
    steps = f"{figures[0]['steps']:.0f}"
    cells = [spread([figure[key] for figure in figures]) for key in ("accuracy", "recurrent", "validation")]
    seconds = sum(figure["seconds"] for figure in figures) / len(figures)
    return f"| {name} | {batch} | {steps} | {' | '.join(cells)} | {seconds:.0f} |"


if __name__ == "__main__":
    sys.exit(main())
