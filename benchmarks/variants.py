"""What a setting is worth on validation rows, over several seeds: test rows are not looked at.

    python benchmarks/variants.py training.r_drop=0,0.5,1 [CORPUS ...] [--seeds N] [--setting KEY=VALUE]
        [--output docs/training.md]

Each value and seed is a training of the shipped experiment, without the linear expert, whose effect does not depend on
such settings. Finished ones are kept under .bench/variants, so that an interrupted call continues. With `--output`,
the section of the page that is marked with the key is replaced. Corpora are found through TEXTLSTM_CORPORA.
"""

import argparse
import hashlib
import json
import resource
import statistics
import sys
from pathlib import Path

from experiments import BENCH, experiment_settings, found_corpora, publish
from textlstm.cli.settings import compose_config
from textlstm.config import TrainConfig
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.fitting import fit_classifier, resolve

WORK = BENCH / "variants"
ALONE = (
    *("model.linear_expert=false", "evaluation.baseline=false", "tracking=off"),
    *("training.refit=false", "training.cross_fit=0", "training.quality=fast"),
)


def main() -> int:
    """Train what is missing, print the table, write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("key_and_values")
    parser.add_argument("corpora", nargs="*", default=["trec6", "mr"])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--output", default="")
    parser.add_argument("--setting", action="append", default=[], help="another setting of every training")
    arguments = parser.parse_args()
    key, _, values = arguments.key_and_values.partition("=")
    lines = header(key, arguments.seeds, arguments.setting)
    for corpus, data in found_corpora(arguments.corpora):
        for value in values.split(","):
            settings = [*data, *arguments.setting, f"{key}={value}"]
            figures = [train_once(corpus, settings, seed=seed) for seed in range(1, arguments.seeds + 1)]
            lines.append(row(corpus, value, figures))
    publish("\n".join(lines) + "\n", arguments.output, section=key)
    return 0


def header(key: str, num_seeds: int, settings: list[str]) -> list[str]:
    """Return the top of the table."""
    also = f" Every training with {' '.join(f'`{setting}`' for setting in settings)}." if settings else ""
    return [
        f"Validation rows, recurrent branch alone, mean ± standard deviation of {num_seeds} seeds, in %.{also}",
        "",
        f"| corpus | `{key}` | accuracy | macro-F1 | processor seconds a training |",
        "|---|---|---|---|---|",
    ]


def row(corpus: str, value: str, figures: list[dict[str, float]]) -> str:
    """Return the line of one value."""
    cells = [f"{100 * mean:.2f} ±{100 * spread:.2f}" for mean, spread in map(moments, both(figures))]
    seconds = statistics.mean(figure["seconds"] for figure in figures)
    return f"| {corpus} | {value} | {cells[0]} | {cells[1]} | {seconds:.0f} |"


def both(figures: list[dict[str, float]]) -> list[list[float]]:
    """Return the accuracies and the macro-F1s."""
    return [[figure[name] for figure in figures] for name in ("accuracy", "macro_f1")]


def moments(values: list[float]) -> tuple[float, float]:
    """Return mean and standard deviation (0 of a single value)."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def train_once(corpus: str, settings: list[str], *, seed: int) -> dict[str, float]:
    """Train one value and seed unless that was done; return its figures at the best epoch."""
    settings = [*experiment_settings(corpus, settings, seed=seed, prepared_dir=WORK / "prepared"), *ALONE]
    kept = WORK / corpus / f"{hashlib.sha256(repr(settings).encode()).hexdigest()[:12]}.json"
    if not kept.exists():
        config: TrainConfig = compose_config("train", TrainConfig, settings)
        prepared = prepare_corpus(
            config.data, config.text, prepared_dir=Path(config.prepared_dir), num_workers=config.num_workers
        )
        config = resolve(config, prepared, measure_speed=False).config
        before = processor_seconds()
        fitted = fit_classifier(prepared, config)
        result = fitted.results[0]
        best = result.history[result.best_epoch - 1]
        figures = {"accuracy": best.accuracy, "macro_f1": best.macro_f1, "seconds": processor_seconds() - before}
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(figures), encoding="utf-8")
    found: dict[str, float] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def processor_seconds() -> float:
    """Return the processor time of this process and of the children that it waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    sys.exit(main())
