"""Accuracy of the shipped experiments over several seeds, beside TF-IDF + LinearSVC on the same rows.

    python benchmarks/results.py [CORPUS ...] [--seeds N] [--output docs/results.md]

Every seed is a whole `textlstm train experiment=CORPUS`; finished seeds are kept under .bench/results, so that an
interrupted call continues. Corpora are found through TEXTLSTM_CORPORA (bbc comes from an installed package).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".bench" / "results"
CORPORA = (
    *("bbc", "r8", "r52", "20ng", "mr", "ag_news_10k", "trec6", "sst2"),
    *("banking77", "clinc150", "snips", "sms_spam", "imdb"),
)
FOLDERS = {"clinc150": "clinc150_oos"}
NUM_SEEDS = {"imdb": 3}
RESAMPLES = 10_000
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
    difference: tuple[float, float, float]
    """Mean accuracy over seeds less the baseline's, with a 95 % paired bootstrap interval over rows."""
    seconds: list[float]


def main() -> int:
    """Train what is missing, print the table, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*", default=list(CORPORA))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--output", default="")
    arguments = parser.parse_args()
    outcomes = []
    for corpus in arguments.corpora:
        seeds = range(1, min(arguments.seeds, NUM_SEEDS.get(corpus, arguments.seeds)) + 1)
        data = data_settings(corpus)
        if data is None:
            print(f"{corpus}: skipped, its files are not under TEXTLSTM_CORPORA", file=sys.stderr)
            continue
        runs = [train(corpus, seed, data) for seed in seeds]
        outcomes.append(summarise(corpus, runs))
    page = table(outcomes)
    print(page)
    if arguments.output:
        Path(arguments.output).write_text(page, encoding="utf-8")
    return 0


def data_settings(corpus: str) -> list[str] | None:
    """Return the data settings of a corpus, or None where its files are absent."""
    if corpus == "bbc":
        return []
    folder = Path(os.environ.get("TEXTLSTM_CORPORA", ROOT.parent / "shared" / "data")) / FOLDERS.get(corpus, corpus)
    if not folder.is_dir():
        return None
    files = {name: folder / f"{name}.jsonl.gz" for name in ("train", "validation", "test")}
    if corpus == "clinc150":
        files = {name: without_out_of_scope(path) for name, path in files.items()}
    return ["data=files", "data.drop_leaked=true"] + [
        f"data.{name}={path}" for name, path in files.items() if path.exists()
    ]


def without_out_of_scope(path: Path) -> Path:
    """Return a copy of a CLINC150 file without the out-of-scope rows."""
    import gzip

    target = WORK / "clinc150" / path.name.removesuffix(".gz")
    target.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "rt", encoding="utf-8") as source:
        rows = [line for line in source if json.loads(line)["label"] != "oos"]
    target.write_text("".join(rows), encoding="utf-8")
    return target


def train(corpus: str, seed: int, data: list[str]) -> Path:
    """Train one seed unless it is there; return its evaluation folder."""
    model = WORK / corpus / f"seed-{seed}"
    evaluation = model.with_name(f"{model.name}-evaluation")
    if not (evaluation / "seconds.json").exists():
        command = [sys.executable, "-m", "textlstm", "train", f"experiment={corpus}", *data, f"seed={seed}"]
        command += [f"output_dir={model}", f"prepared_dir={WORK / 'prepared'}", "tracking=off", "overwrite=true"]
        started = time.perf_counter()
        subprocess.run([*command, "evaluation.report=false"], check=True, stdout=subprocess.DEVNULL)
        (evaluation / "seconds.json").write_text(json.dumps(time.perf_counter() - started))
    return evaluation


def summarise(corpus: str, folders: list[Path]) -> Outcome:
    """Read the figures of all seeds of a corpus."""
    figures = [json.loads((folder / "metrics.json").read_text()) for folder in folders]
    models = [figure["models"] for figure in figures]
    correct, baseline = [], np.zeros(0)
    for folder in folders:
        rows = pq.read_table(folder / "predictions.parquet")
        label = np.asarray(rows.column("label").to_pylist())
        correct.append(np.asarray(rows.column("predicted_label").to_pylist()) == label)
        baseline = np.asarray(rows.column("baseline_label").to_pylist()) == label
    return Outcome(
        corpus=corpus,
        accuracy=[figure["accuracy"] for figure in figures],
        macro_f1=[figure["macro_f1"] for figure in figures],
        recurrent=[model["recurrent"]["accuracy"] for model in models],
        expert=[model["expert"]["accuracy"] for model in models],
        baseline=models[0]["baseline"]["accuracy"],
        baseline_macro_f1=models[0]["baseline"]["macro_f1"],
        difference=paired_interval(np.mean(correct, axis=0) - baseline),
        seconds=[json.loads((folder / "seconds.json").read_text()) for folder in folders],
    )


def paired_interval(differences: np.ndarray) -> tuple[float, float, float]:
    """Return the mean of (N,) row differences with the 95 % bootstrap interval over rows."""
    random = np.random.default_rng(0)
    count = len(differences)
    means = [float(differences[random.integers(0, count, count)].mean()) for _ in range(RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(differences.mean()), float(low), float(high)


def table(outcomes: list[Outcome]) -> str:
    """Return the page: one row a corpus."""
    lines = [
        "# Results",
        "",
        "Test accuracy and macro-F1 in %, mean ± standard deviation over seeds.",
        "LinearSVC is TF-IDF of word 1-2 grams, trained in the same run on the same rows (train and validation).",
        "The difference is that of accuracies, with a 95 % paired bootstrap interval over test rows.",
        f"Made by `make results`, {os.cpu_count()} CPU cores.",
        "",
        "| corpus | seeds | together | macro-F1 | recurrent alone | expert alone | LinearSVC "
        "| its macro-F1 | difference | TextGCN paper's Bi-LSTM | seconds a seed |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        mean, low, high = (100 * value for value in outcome.difference)
        mark = "**" if low > 0 or high < 0 else ""
        cells = (
            outcome.corpus,
            str(len(outcome.accuracy)),
            spread(outcome.accuracy),
            spread(outcome.macro_f1),
            spread(outcome.recurrent),
            spread(outcome.expert),
            f"{100 * outcome.baseline:.2f}",
            f"{100 * outcome.baseline_macro_f1:.2f}",
            f"{mark}{mean:+.2f} [{low:+.2f}, {high:+.2f}]{mark}",
            TEXTGCN.get(outcome.corpus, ""),
            f"{statistics.mean(outcome.seconds):.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def spread(values: list[float]) -> str:
    """Return mean ± standard deviation of fractions, in %."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{100 * statistics.mean(values):.2f} ±{100 * deviation:.2f}"


if __name__ == "__main__":
    sys.exit(main())
