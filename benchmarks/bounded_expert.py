"""What the bound on the texts of the linear expert costs: accuracy on test rows, with and without it.

    python benchmarks/bounded_expert.py [CORPUS ...] [--shares 1,0.5]

The product's own expert is fitted on the rows that `linear_rows` leaves of the training rows of a corpus: with its
bound as it is, and with bounds of a part of the corpus's characters, which show what a sample costs where the bound is
reached. Corpora are found through TEXTLSTM_CORPORA (bbc comes from an installed package).
"""

import argparse
import sys
from functools import partial

import numpy as np

from experiments import TRAININGS, experiment_settings, found_corpora, publish
from results import CORPORA
from textlstm.cli.settings import compose_config
from textlstm.config import ModelConfig, TrainConfig
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.fitting import sampling
from textlstm.fitting.labelled_rows import labelled_rows
from textlstm.models.linear.expert import LinearExpert

SEED = 1


def main() -> int:
    """Fit on every corpus and print a row each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*", default=CORPORA)
    parser.add_argument("--shares", default="0.5", help="parts of the characters of a corpus, with commas")
    parser.add_argument("--output", default="")
    arguments = parser.parse_args()
    shares = [float(share) for share in arguments.shares.split(",")]
    of_shares = "".join(f" {share:.0%} of them |" for share in shares)
    lines = [f"| corpus | characters | all | within the bound |{of_shares}", "|---" * (4 + len(shares)) + "|"]
    bound = sampling.MOST_LINEAR_CHARACTERS
    for corpus, data in found_corpora(arguments.corpora):
        prepared_dir = TRAININGS / "prepared"
        settings = [*experiment_settings(corpus, data, seed=SEED, prepared_dir=prepared_dir), "text=fast"]
        config: TrainConfig = compose_config("train", TrainConfig, settings)
        prepared = prepare_corpus(config.data, config.text, prepared_dir=prepared_dir, num_workers=1)
        rows, test = labelled_rows(prepared), prepared.test or prepared.validation
        assert test is not None
        fit = partial(
            LinearExpert.fit, num_labels=len(prepared.labels), task=prepared.task, config=ModelConfig(), seed=SEED
        )
        targets, texts = test.targets(prepared.labels, prepared.task), test.texts()
        num_characters = int(rows.train.num_characters().sum())
        figures: dict[int, float] = {}
        # Bounds that leave the same rows have one fit.
        for most in (num_characters, min(bound, num_characters), *(int(share * num_characters) for share in shares)):
            if most not in figures:
                sampling.MOST_LINEAR_CHARACTERS = most
                some = sampling.linear_rows(rows, seed=SEED)
                expert = fit(some.train.texts(), some.train_targets)
                figures[most] = 100 * float(np.mean(expert.logits(texts).argmax(axis=1) == targets))
        of_shares = "".join(f" {figures[int(share * num_characters)]:.2f} |" for share in shares)
        all_of_them, bounded = figures[num_characters], figures[min(bound, num_characters)]
        lines.append(f"| {corpus} | {num_characters:,} | {all_of_them:.2f} | {bounded:.2f} |{of_shares}")
        print(lines[-1], file=sys.stderr, flush=True)
    publish("\n".join(lines) + "\n", arguments.output, section="bounded expert")
    return 0


if __name__ == "__main__":
    sys.exit(main())
