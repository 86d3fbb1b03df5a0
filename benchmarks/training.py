"""Training speed on AG News (10k rows) beside bare torch loops, in one run: tokens per second, padding left out.

    python benchmarks/training.py [--rounds N] [--rows N] [--threads N] [--output FILE]

Embedding 100, hidden 128, bidirectional, 64 rows a batch. The bare loops have no dropout, no moving average, no
validation; they sort rows by length too. The padded one computes in bf16 where the processor has kernels for it, as
textlstm does. The contestants take turns, one epoch each, so that a busy machine slows all alike; the table shows
medians over the rounds and the median of the ratios within a round; a first, short epoch of each is not counted.
Rows are found through TEXTLSTM_CORPORA.
"""

import argparse
import gzip
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from textlstm.config import ModelConfig, Task, TrainingConfig, TrainingPrecision
from textlstm.models.network.inputs import EncodedSplit, encode_split
from textlstm.models.network.network import NetworkSizes, TextNetwork
from textlstm.models.network.precision import NumberFormat, resolve_precision
from textlstm.training.job import TrainingJob
from textlstm.training.loop import fit
from textlstm.vocabulary import Vocabulary

ROOT = Path(__file__).resolve().parent.parent
BATCH_SIZE = 64
NUM_LABELS = 4
_TOKEN = re.compile(r"\w+|[^\w\s]")


def main() -> int:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=0, help="training rows, 0 for all")
    parser.add_argument("--threads", type=int, default=0, help="0 for all cores")
    parser.add_argument("--output", default="")
    arguments = parser.parse_args()
    folder = Path(os.environ.get("TEXTLSTM_CORPORA", ROOT.parent / "shared" / "data")) / "ag_news_10k"
    if not folder.is_dir():
        print("skipped: no ag_news_10k under TEXTLSTM_CORPORA", file=sys.stderr)
        return 0
    threads = arguments.threads or len(os.sched_getaffinity(0))
    (split,), vocabulary_size = read_rows(folder / "train.jsonl.gz")
    if arguments.rows:
        split = first_rows(split, arguments.rows)
    contestants = build_contestants(split, vocabulary_size, threads=threads)
    for run_epoch in build_contestants(first_rows(split, 20 * BATCH_SIZE), vocabulary_size, threads=threads).values():
        torch.set_num_threads(threads)
        run_epoch()  # kernels are made and memory is fetched
    speeds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(arguments.rounds):
        for name, run_epoch in contestants.items():
            torch.manual_seed(number)
            torch.set_num_threads(threads)
            speeds[name].append(run_epoch())
    page = "\n".join(table(speeds, threads=threads)) + "\n"
    print(page)
    if arguments.output:
        Path(arguments.output).write_text(page, encoding="utf-8")
    return 0


def read_rows(*paths: Path) -> tuple[list[EncodedSplit], int]:
    """Return the encoded rows of each file and the size of the vocabulary, which comes from the first."""
    rows = []
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            rows.append([json.loads(line) for line in file])
    texts = [[_TOKEN.findall(row["text"].lower()) for row in part] for part in rows]
    vocabulary = Vocabulary.build(Counter(token for text in texts[0] for token in text), max_size=50_000, min_count=1)
    labels = sorted({row["label"] for row in rows[0]})
    splits = []
    for part, its_texts in zip(rows, texts, strict=True):
        offsets = np.concatenate([[0], np.cumsum([len(text) for text in its_texts])])
        targets = np.array([labels.index(row["label"]) for row in part])
        token_ids = vocabulary.encode([token for text in its_texts for token in text])
        splits.append(encode_split(token_ids, offsets, None, targets, max_tokens=400))
    return splits, len(vocabulary)


def first_rows(split: EncodedSplit, num_rows: int) -> EncodedSplit:
    """Return the first rows of a split."""
    offsets = split.offsets[: num_rows + 1]
    return encode_split(split.token_ids[: offsets[-1]], offsets, None, split.targets[:num_rows], max_tokens=400)


def build_contestants(split: EncodedSplit, vocabulary_size: int, *, threads: int) -> dict[str, Callable[[], float]]:
    """Return a function a contestant that trains one epoch and gives its tokens per second."""
    few = first_rows(split, 64)

    def ours(num_workers: int) -> float:
        network = TextNetwork(ModelConfig(), NetworkSizes(vocabulary_size, NUM_LABELS))
        config = TrainingConfig(epochs=1, batch_size=BATCH_SIZE, num_threads=threads, num_workers=num_workers)
        return fit(TrainingJob(network, split, few, config=config, task=Task.single_label, seed=1)).tokens_per_second

    best = resolve_precision(TrainingPrecision.auto, torch.device("cpu"))
    contestants = {
        "bare loop, packed sequences, fp32": lambda: bare_epoch(split, vocabulary_size, NumberFormat.fp32, packed=True),
        f"bare loop, padded, {best}": lambda: bare_epoch(split, vocabulary_size, best, packed=False),
        "textlstm, one process (the default)": lambda: ours(1),
    }
    if threads > 1:
        contestants[f"textlstm, {threads} processes (`training.num_workers=0`)"] = lambda: ours(threads)
    return contestants


class BareNetwork(nn.Module):
    """Embedding, bidirectional LSTM, maximum over time, output layer."""

    def __init__(self, vocabulary_size: int, *, packed: bool) -> None:
        super().__init__()
        self.packed = packed
        self.embedding = nn.Embedding(vocabulary_size, 100, padding_idx=0)
        self.lstm = nn.LSTM(100, 128, batch_first=True, bidirectional=True)
        self.output = nn.Linear(256, NUM_LABELS)

    def forward(self, token_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return (B, L) logits of (B, T) ids."""
        states = self.embedding(token_ids)
        if self.packed:
            states = self.lstm(pack_padded_sequence(states, lengths, batch_first=True, enforce_sorted=False))[0]
            states = pad_packed_sequence(states, batch_first=True)[0]
        else:
            states = self.lstm(states)[0]
        padding = (token_ids == 0).unsqueeze(-1)
        logits: Tensor = self.output(states.masked_fill(padding, -1e4).amax(dim=1))
        return logits


def bare_epoch(split: EncodedSplit, vocabulary_size: int, precision: NumberFormat, *, packed: bool) -> float:
    """Train one epoch by a plain loop; return tokens per second."""
    network = BareNetwork(vocabulary_size, packed=packed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3)
    order = np.argsort(split.lengths, kind="stable")
    order = order[split.lengths[order] > 0]
    batches = [order[i : i + BATCH_SIZE] for i in range(0, len(order), BATCH_SIZE)]
    began, num_tokens = time.perf_counter(), 0
    for k in np.random.default_rng(1).permutation(len(batches)):
        rows = batches[k]
        lengths = torch.from_numpy(split.lengths[rows])
        token_ids = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
        for i, row in enumerate(rows):
            text = split.token_ids[split.offsets[row] : split.offsets[row + 1]]
            token_ids[i, : len(text)] = torch.from_numpy(text)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision is NumberFormat.bf16):
            logits = network(token_ids, lengths)
        loss = functional.cross_entropy(logits.float(), torch.from_numpy(split.targets[rows]))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        num_tokens += int(lengths.sum())
    return num_tokens / (time.perf_counter() - began)


def table(speeds: dict[str, list[float]], *, threads: int) -> list[str]:
    """Return the lines of a Markdown table."""
    packed, padded = (np.array(values) for values in list(speeds.values())[:2])
    lines = [
        f"Thousand tokens a second, {threads} CPU threads, torch {torch.__version__}, medians of {len(packed)} rounds",
        "",
        "| training of AG News, embedding 100, hidden 128, batch 64 | thousand tokens/s | / packed | / padded |",
        "|---|---|---|---|",
    ]
    for name, values in speeds.items():
        ratios = [np.median(np.array(values) / base) for base in (packed, padded)]
        lines.append(f"| {name} | {np.median(values) / 1000:.1f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
