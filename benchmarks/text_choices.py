"""What stop words, content words and tags are worth on held-out training rows, as `auto` tries them.

    python benchmarks/text_choices.py [CORPUS ...] [--minutes 5] [--output docs/how-to/choosing-settings.md]

Only training rows are looked at. Corpora are found through TEXTLSTM_CORPORA (bbc comes from an installed package).
"""

import argparse
import sys
from dataclasses import replace

from experiments import TRAININGS, experiment_settings, found_corpora, publish
from results import CORPORA
from textlstm.cli.settings import compose_config
from textlstm.config import TrainConfig
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.fitting.auto_text import TEXT_KEYS, choose_text
from textlstm.fitting.text_trials import TextTrial

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
        "Accuracy in % of held-out training rows by the linear classifier; for what wins there, by the small network.",
        "",
        f"| corpus | rows | all words | {' | '.join(COLUMNS)} | network | taken |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for corpus, data in found_corpora(arguments.corpora):
        prepared_dir = TRAININGS / "prepared"
        settings = experiment_settings(corpus, data, seed=SEED, prepared_dir=prepared_dir)
        config: TrainConfig = compose_config("train", TrainConfig, settings)
        config = replace(config, training=replace(config.training, minutes=arguments.minutes))
        prepared = prepare_corpus(config.data, config.text, prepared_dir=prepared_dir, num_workers=1)
        choice = choose_text(config, prepared, TEXT_KEYS)
        print(f"{corpus}: {choice.reason}", file=sys.stderr, flush=True)
        if not choice.trials:
            continue
        base, *others = choice.trials
        by_name = {trial.name: percent(trial) for trial in others}
        cells = [by_name.get(name, "not tried") for name in COLUMNS]
        judged = ", ".join(f"{trial.name} {percent(trial)}" for trial in choice.network_trials)
        taken = choice.network_trials[1].name if choice.values else "all words"
        row = (corpus, f"{len(base.right):,}", percent(base), *cells, judged or "–", taken)
        lines.append(f"| {' | '.join(row)} |")
    publish("\n".join(lines) + "\n", arguments.output, section="text choices")
    return 0


def percent(trial: TextTrial) -> str:
    """Return the accuracy of a trial in %."""
    return f"{100 * trial.accuracy:.1f}"


if __name__ == "__main__":
    sys.exit(main())
