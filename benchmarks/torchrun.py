"""One process against two under torchrun: tokens per second at the same global batch, and accuracy over seeds.

    python benchmarks/torchrun.py [--seeds N] [--rows N] [--epochs N] [--batch-tokens N] [--output FILE]

AG News (10k rows), embedding 100, hidden 128, bidirectional, 64 rows a batch, on the CPU (gloo); with `--batch-tokens`
batches of so many tokens, as a GPU has them. Each training is a
process of its own, or two of one thread each; they take turns, a seed each. Accuracy is that of 2,000 test rows after
the last epoch; nothing is chosen by it. Rows are found through TEXTLSTM_CORPORA.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch

from textlstm.config import Device, ModelConfig, Task, TrainingConfig
from textlstm.models.network.network import NetworkSizes, TextNetwork
from textlstm.processes.distributed import follows_another
from textlstm.training.job import TrainingJob
from textlstm.training.loop import fit
from training import BATCH_SIZE, NUM_LABELS, ROOT, first_rows, read_rows

NUM_TEST_ROWS = 2_000
ALONE = (sys.executable,)
TOGETHER = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


class Way(NamedTuple):
    """How a training is run."""

    name: str
    command: tuple[str, ...]
    num_threads: int
    """In all processes together."""


WAYS = (
    Way("one process, one thread", ALONE, 1),
    Way("one process, two threads", ALONE, 2),
    Way("torchrun, two processes of one thread", TOGETHER, 2),
)


def main() -> int:
    """Run every way with every seed and print the table, or, called by it, train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=0, help="training rows, 0 for all")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-tokens", type=int, default=0, help="in place of 64 rows")
    parser.add_argument("--output", default="")
    parser.add_argument("--train", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = Path(os.environ.get("TEXTLSTM_CORPORA", ROOT.parent / "shared" / "data")) / "ag_news_10k"
    if not folder.is_dir():
        print("skipped: no ag_news_10k under TEXTLSTM_CORPORA", file=sys.stderr)
        return 0
    if arguments.train:
        train(folder, **arguments.train)
        return 0
    found: dict[str, list[dict[str, float]]] = {way.name: [] for way in WAYS}
    sizes = {"rows": arguments.rows, "epochs": arguments.epochs, "batch_tokens": arguments.batch_tokens}
    for seed in range(1, arguments.seeds + 1):
        for way in WAYS:
            found[way.name].append(measure(way, {**sizes, "seed": seed}))
    page = "\n".join(table(found, batch_tokens=arguments.batch_tokens)) + "\n"
    print(page)
    if arguments.output:
        Path(arguments.output).write_text(page, encoding="utf-8")
    return 0


def measure(way: Way, sizes: dict[str, int]) -> dict[str, float]:
    """Train once in processes of its own, with these arguments of `train`; return its speed and accuracy."""
    with tempfile.TemporaryDirectory() as work:
        target = Path(work) / "figures.json"
        settings = {**sizes, "threads": way.num_threads, "target": str(target)}
        command = [*way.command, str(Path(__file__).resolve()), "--train", json.dumps(settings)]
        quiet = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "10000"}  # as the command sets them
        subprocess.run(command, check=True, env={**os.environ, **quiet}, stderr=subprocess.DEVNULL)
        figures: dict[str, float] = json.loads(target.read_text(encoding="utf-8"))
    return figures


def train(folder: Path, *, rows: int, epochs: int, batch_tokens: int, seed: int, threads: int, target: str) -> None:
    """Train in this process, and with the others of torchrun; the first one writes the figures."""
    (split, test), vocabulary_size = read_rows(folder / "train.jsonl.gz", folder / "test.jsonl.gz")
    if rows:
        split = first_rows(split, rows)
    torch.manual_seed(seed)
    network = TextNetwork(ModelConfig(), NetworkSizes(vocabulary_size, NUM_LABELS))
    config = TrainingConfig(
        epochs=epochs,
        batch_size=BATCH_SIZE,
        batch_tokens=batch_tokens,
        num_threads=threads,
        num_workers=1,
        patience=0,
        device=Device.cpu,
    )
    result = fit(
        TrainingJob(network, split, first_rows(test, NUM_TEST_ROWS), config=config, task=Task.single_label, seed=seed)
    )
    if not follows_another():
        figures = {"speed": result.tokens_per_second, "accuracy": result.history[-1].accuracy}
        Path(target).write_text(json.dumps(figures), encoding="utf-8")


def table(found: dict[str, list[dict[str, float]]], *, batch_tokens: int = 0) -> list[str]:
    """Return the lines of a Markdown table."""
    batch = f"{batch_tokens:,} tokens" if batch_tokens else str(BATCH_SIZE)
    num_seeds = len(next(iter(found.values())))
    lines = [
        f"Medians of {num_seeds} trainings, torch {torch.__version__}, {len(os.sched_getaffinity(0))} cores",
        "",
        f"| AG News, embedding 100, hidden 128, batch {batch} | thousand tokens/s | / one thread | / two threads "
        "| accuracy, mean ± standard deviation |",
        "|---|---|---|---|---|",
    ]
    bases = [[figures["speed"] for figures in found[way.name]] for way in WAYS[:2]]
    for name, figures in found.items():
        speeds = [figure["speed"] for figure in figures]
        ratios = [statistics.median(a / b for a, b in zip(speeds, base, strict=True)) for base in bases]
        accuracies = [100 * figure["accuracy"] for figure in figures]
        spread = statistics.stdev(accuracies) if num_seeds > 1 else 0.0
        cells = (name, f"{statistics.median(speeds) / 1000:.1f}", *(f"{ratio:.2f}" for ratio in ratios))
        lines.append(f"| {' | '.join(cells)} | {statistics.mean(accuracies):.2f} ±{spread:.2f} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
