"""Which features of the linear expert `auto` takes for a corpus, and what each is worth on held-out rows.

    python benchmarks/experts.py [CORPUS ...] [--seconds 30] [--output docs/how-to/choosing-settings.md]

Only training rows are looked at. Corpora are found through TEXTLSTM_CORPORA (bbc comes from an installed package).
"""

import argparse
import sys

from experiments import TRAININGS, experiment_settings, found_corpora, publish
from results import CORPORA
from textlstm.cli.settings import compose_config
from textlstm.config import TrainConfig
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.fitting.auto_expert import EXPERT_KEYS, choose_expert
from textlstm.text.language_detection import is_spaceless

SEED = 1


def main() -> int:
    """Try the features on every corpus and print a row each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*", default=CORPORA)
    parser.add_argument("--seconds", type=float, default=30.0, help="longest fit on all rows")
    parser.add_argument("--output", default="")
    arguments = parser.parse_args()
    lines = [
        "Three folds of at most 4,000 training rows, as `textlstm train` tries them: accuracy in % and log loss of",
        "held-out rows, and the estimated seconds of a fit on all rows. Bold: what is taken.",
        "",
        "| corpus | rows | features | accuracy | log loss | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for corpus, data in found_corpora(arguments.corpora):
        prepared_dir = TRAININGS / "prepared"
        settings = experiment_settings(corpus, data, seed=SEED, prepared_dir=prepared_dir)
        config: TrainConfig = compose_config("train", TrainConfig, settings)
        prepared = prepare_corpus(config.data, config.text, prepared_dir=prepared_dir, num_workers=1)
        assert prepared.train is not None
        texts = prepared.train.texts()
        choice = choose_expert(
            texts,
            prepared.train.targets(prepared.labels, prepared.task),
            num_labels=len(prepared.labels),
            task=prepared.task,
            config=config.model,
            keys=EXPERT_KEYS,
            spaceless=is_spaceless(texts),
            seconds=arguments.seconds,
            seed=SEED,
        )
        for trial in choice.trials:
            name = f"**{trial.name}**" if trial.name == choice.name else trial.name
            figures = f"{100 * trial.accuracy:.2f} | {trial.log_loss:.4f} | {trial.full_seconds:.0f}"
            lines.append(f"| {corpus} | {len(texts):,} | {name} | {figures} |")
            print(lines[-1], file=sys.stderr, flush=True)
    publish("\n".join(lines) + "\n", arguments.output, section="experts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
