"""What stop-word removal, parts of speech and lower-casing are worth: every combination, on the same test rows.

    python benchmarks/ablation.py [CORPUS ...] [--seeds N] [--output docs/evaluation.md] [--setting KEY=VALUE]

Every combination and seed is a whole `textlstm train experiment=CORPUS`; finished ones are kept under .bench/ablation,
so that an interrupted call continues. Corpora are found through TEXTLSTM_CORPORA.
"""

import argparse
import hashlib
import itertools
import sys
from pathlib import Path

import numpy as np

from experiments import (
    BENCH,
    correct_rows,
    experiment_settings,
    found_corpora,
    paired_difference,
    publish,
    train_once,
)

WORK = BENCH / "ablation"
FACTORS = {
    "stop words": {"kept": ["text.stop_words=keep"], "removed": ["text.stop_words=remove"]},
    "POS": {
        "off": ["text.pos=false", "model.pos_embedding_size=0"],
        "embedded": ["text.pos=true", "model.pos_embedding_size=16"],
    },
    "case": {"lower": ["text.lowercase=true"], "kept": ["text.lowercase=false"]},
}
"""Settings of each factor; the first choice of each is the reference."""


def main() -> int:
    """Train what is missing, print the table, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*", default=["trec6", "mr"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", default="")
    parser.add_argument("--setting", action="append", default=[], help="another setting of every training")
    arguments = parser.parse_args()
    lines = header(arguments.seeds, arguments.setting)
    for corpus, data in found_corpora(arguments.corpora):
        lines += rows_of(corpus, data, num_seeds=arguments.seeds, settings=arguments.setting)
    publish("\n".join(lines) + "\n", arguments.output, section="ablation")
    return 0


def header(num_seeds: int, settings: list[str]) -> list[str]:
    """Return the top of the page."""
    seeds = "1 seed" if num_seeds == 1 else f"mean of {num_seeds} seeds"
    also = f" Every training with {' '.join(f'`{setting}`' for setting in settings)}." if settings else ""
    return [
        f"Test accuracy in %, {seeds}; the difference to the first line of",
        f"a corpus with a 95 % paired bootstrap interval over test rows. Bold: beyond chance.{also}",
        "",
        f"| corpus | {' | '.join(FACTORS)} | accuracy | difference |",
        f"|---|{'---|' * len(FACTORS)}---|---|",
    ]


def rows_of(corpus: str, data: list[str], *, num_seeds: int, settings: list[str]) -> list[str]:
    """Return one line a combination."""
    lines: list[str] = []
    reference: np.ndarray | None = None
    for names in itertools.product(*FACTORS.values()):
        chosen = [setting for factor, name in zip(FACTORS.values(), names, strict=True) for setting in factor[name]]
        place = WORK / corpus / digest(settings) / "-".join(names)
        folders = [
            train(corpus, [*data, *settings, *chosen], place / f"seed-{seed}", seed=seed)
            for seed in range(1, num_seeds + 1)
        ]
        correct = np.mean([correct_rows(evaluation) for evaluation in folders], axis=0)
        reference = correct if reference is None else reference
        difference = "" if reference is correct else paired_difference(correct - reference).in_points()
        lines.append(f"| {' | '.join((corpus, *names, f'{100 * correct.mean():.2f}', difference))} |")
    return lines


def train(corpus: str, settings: list[str], model: Path, *, seed: int) -> Path:
    """Train one combination unless it is there; return its evaluation folder."""
    return train_once(model, experiment_settings(corpus, settings, seed=seed, prepared_dir=WORK / "prepared"))


def digest(settings: list[str]) -> str:
    """Return the name of the folder of trainings with these settings: others are other trainings."""
    return hashlib.sha256("\n".join(settings).encode()).hexdigest()[:8] if settings else "as-shipped"


if __name__ == "__main__":
    sys.exit(main())
