"""Which linear expert suits a corpus: accuracy of held-out rows in five folds, for each setting of its features.

    python benchmarks/experts.py [CORPUS ...] [--output docs/models.md]

The rows are those of training and validation; test rows are not looked at. The settings of the shipped experiments'
expert are chosen by this table. Corpora are found through TEXTLSTM_CORPORA (bbc comes from an installed package).
"""

import argparse
import itertools
import sys
import time
from dataclasses import replace

import numpy as np

from experiments import TRAININGS, experiment_settings, found_corpora, publish
from results import CORPORA
from textlstm.cli.settings import compose_config
from textlstm.config import ModelConfig, Task, TrainConfig
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.models.linear.expert import LinearExpert

SEED = 0


def main() -> int:
    """Fit every combination on every corpus and print a row each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*", default=CORPORA)
    parser.add_argument("--output", default="")
    arguments = parser.parse_args()
    lines = [
        "Accuracy of held-out rows (5 folds of training and validation rows) in %, and the seconds of the six fits.",
        "",
        "| corpus | rows | characters | naive Bayes | accuracy | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for corpus, data in found_corpora(arguments.corpora):
        prepared_dir = TRAININGS / "prepared"
        settings = experiment_settings(corpus, data, seed=SEED, prepared_dir=prepared_dir)
        config: TrainConfig = compose_config("train", TrainConfig, settings)
        prepared = prepare_corpus(config.data, config.text, prepared_dir=prepared_dir, num_workers=1)
        splits = [split for split in (prepared.train, prepared.validation) if split is not None]
        texts = [text for split in splits for text in split.texts()]
        targets = np.concatenate([split.targets(prepared.labels, prepared.task) for split in splits])
        for characters, naive_bayes in itertools.product((False, True), repeat=2):
            model = replace(config.model, expert_char_ngrams=characters, expert_naive_bayes=naive_bayes)
            started = time.perf_counter()
            accuracy = held_out_accuracy(texts, targets, model, num_labels=len(prepared.labels))
            seconds = time.perf_counter() - started
            words = ["yes" if choice else "no" for choice in (characters, naive_bayes)]
            lines.append(f"| {corpus} | {len(texts):,} | {' | '.join(words)} | {100 * accuracy:.2f} | {seconds:.0f} |")
            print(lines[-1], file=sys.stderr, flush=True)
    publish("\n".join(lines) + "\n", arguments.output, section="experts")
    return 0


def held_out_accuracy(texts: list[str], targets: np.ndarray, model: ModelConfig, *, num_labels: int) -> float:
    """Return the share of rows that a fit without them labels rightly."""
    fitted = LinearExpert.fit_with_out_of_fold(
        texts, targets, num_labels=num_labels, task=Task.single_label, config=model, seed=SEED
    )
    return float((fitted.out_of_fold_logits.argmax(axis=1) == targets).mean())


if __name__ == "__main__":
    sys.exit(main())
