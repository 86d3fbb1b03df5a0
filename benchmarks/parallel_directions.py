"""Training speed with one thread, with two at one operation, and with a thread a direction (two threads), in one run.

    python benchmarks/threads.py [CORPUS ...] [--batch-sizes N ...] [--rounds N] [--rows N] [--output FILE]

The default network on the first rows of each corpus, in turns, one epoch each; the table shows medians over the rounds
of thousand tokens per second, after a first round that is not counted. Threads wait as `textlstm train` lets them.
Rows are found through TEXTLSTM_CORPORA.
"""

import argparse
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from textlstm.config import ModelConfig, Task, TrainingConfig
from textlstm.models.network.inputs import EncodedSplit
from textlstm.models.network.network import NetworkSizes, TextNetwork
from textlstm.models.network.parallel import two_threads
from textlstm.training import compute
from textlstm.training.job import TrainingJob
from textlstm.training.loop import fit
from training import ROOT, first_rows, read_rows

CORPORA = ["trec6", "sst2", "mr", "ag_news_10k", "r8", "imdb"]
WAYS = [("one thread", 1, False), ("two threads", 2, False), ("a thread for each direction", 2, True)]


def main() -> int:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*", default=CORPORA)
    parser.add_argument("--batch-sizes", nargs="*", type=int, default=[16, 32])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--output", default="")
    arguments = parser.parse_args()
    folder = Path(os.environ.get("TEXTLSTM_CORPORA", ROOT.parent / "shared" / "data"))
    lines = [
        f"Thousand tokens a second, default network, torch {torch.__version__}, medians of {arguments.rounds} rounds",
        "",
        f"| corpus | rows a batch | tokens a batch | {' | '.join(name for name, *_ in WAYS)} |",
        f"|---|---|---|{'---|' * len(WAYS)}",
    ]
    for corpus in arguments.corpora:
        path = folder / corpus / "train.jsonl.gz"
        if not path.is_file():
            print(f"skipped: no {corpus} under TEXTLSTM_CORPORA", file=sys.stderr)
            continue
        (split,), vocabulary_size = read_rows(path)
        split = first_rows(split, min(arguments.rows, split.num_rows))
        for batch_size in arguments.batch_sizes:
            speeds = measure(split, vocabulary_size, batch_size=batch_size, rounds=arguments.rounds)
            tokens = batch_size * split.lengths.mean()
            cells = " | ".join(f"{speed / 1000:.1f}" for speed in speeds)
            lines.append(f"| {corpus} | {batch_size} | {tokens:.0f} | {cells} |")
            print(lines[-1], file=sys.stderr)
    page = "\n".join(lines) + "\n"
    print(page)
    if arguments.output:
        Path(arguments.output).write_text(page, encoding="utf-8")
    return 0


def measure(split: EncodedSplit, vocabulary_size: int, *, batch_size: int, rounds: int) -> list[float]:
    """Return the median tokens per second of each way, in the order of WAYS."""
    few = first_rows(split, 64)
    speeds = np.zeros((rounds + 1, len(WAYS)))
    for turn in range(rounds + 1):
        for k, (_, threads, each_direction) in enumerate(WAYS):
            network = TextNetwork(ModelConfig(), NetworkSizes(vocabulary_size, int(split.targets.max()) + 1))
            config = TrainingConfig(epochs=1, batch_size=batch_size, num_threads=threads, num_workers=1)
            # Short batches open no second thread; here they do, to show the cost.
            opened = two_threads if each_direction else nullcontext
            with mock.patch.object(compute, "two_threads", opened), mock.patch.object(compute, "_TOKENS_A_THREAD", 1):
                result = fit(TrainingJob(network, split, few, config=config, task=Task.single_label, seed=1))
            speeds[turn, k] = result.tokens_per_second
    return [float(speed) for speed in np.median(speeds[1:], axis=0)]


if __name__ == "__main__":
    sys.exit(main())
