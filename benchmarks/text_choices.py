"""What stop words, content words and tags are worth on held-out training rows, as `auto` tries them.

    python benchmarks/text_choices.py [CORPUS ...] [--minutes 5] [--output docs/how-to/choosing-settings.md]

Only training rows are looked at. Corpora are found through TEXTLSTM_CORPORA (bbc comes from an installed package).
"""

import argparse
import sys
import time
from dataclasses import replace

from experiments import TRAININGS, experiment_settings, found_corpora, publish
from results import CORPORA
from textlstm.cli.settings import compose_config
from textlstm.config import TrainConfig
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.fitting.auto_text import TEXT_KEYS, TextTrial, choose_text

SEED = 1
COLUMNS = ("without stop words", "content words only", "tags beside words")


def main() -> int:
    """Try the ways of reading on every corpus and print a row each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*", default=CORPORA)
    parser.add_argument("--minutes", type=float, default=5.0, help="training.minutes")
    parser.add_argument("--output", default="")
    arguments = parser.parse_args()
    lines = [
        "Accuracy in % of held-out training rows by the linear classifier, and differences from all words in points",
        "with standard errors; for what wins there, the same difference by the small network. Processor seconds.",
        "",
        f"| corpus | rows | all words | {' | '.join(COLUMNS)} | network | taken | seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for corpus, data in found_corpora(arguments.corpora):
        prepared_dir = TRAININGS / "prepared"
        settings = experiment_settings(corpus, data, seed=SEED, prepared_dir=prepared_dir)
        config: TrainConfig = compose_config("train", TrainConfig, settings)
        config = replace(config, training=replace(config.training, minutes=arguments.minutes))
        prepared = prepare_corpus(config.data, config.text, prepared_dir=prepared_dir, num_workers=1)
        started = time.process_time()
        choice = choose_text(config, prepared, TEXT_KEYS)
        seconds = time.process_time() - started
        print(f"{corpus}: {choice.reason}", file=sys.stderr, flush=True)
        if not choice.trials:
            continue
        base, *others = choice.trials
        by_name = {trial.name: trial for trial in others}
        cells = [difference(by_name[name], base) if name in by_name else "not tried" for name in COLUMNS]
        network = "–"
        if choice.network_trials:
            before, after = choice.network_trials
            network = f"{after.name} {difference(after, before)}"
        taken = choice.network_trials[1].name if choice.values else "all words"
        row = (corpus, f"{len(base.right):,}", f"{100 * base.accuracy:.1f}", *cells, network, taken, f"{seconds:.0f}")
        lines.append(f"| {' | '.join(row)} |")
    publish("\n".join(lines) + "\n", arguments.output, section="text choices")
    return 0


def difference(trial: TextTrial, other: TextTrial) -> str:
    """Return how much more accurate `trial` is, in points with the standard error."""
    mean, errors = 100 * (trial.accuracy - other.accuracy), trial.standard_errors_above(other)
    return f"{mean:+.1f} ±{mean / errors if errors else 0:.1f}"


if __name__ == "__main__":
    sys.exit(main())
