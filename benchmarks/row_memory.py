"""Peak memory of what a training does with rows, beside its network, as a prepared corpus grows.

    python benchmarks/row_memory.py PREPARED [--times 1,3,10] [--output FILE]

PREPARED is the folder of a prepared corpus. Its training rows are written again and again into one table, and a fresh
process goes through the steps of a training: targets and samples, vocabulary, token ids, a pass over all batches (they
are gathered, no network sees them), content hashes. Memory is the resident memory of that process, files included.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import pyarrow as pa

from experiments import publish
from processes import run

_STEPS = ("start", "samples", "vocabulary", "token ids", "batches", "hashes")
_CHILD = """
import json, sys
from pathlib import Path
import numpy as np
import torch
from textlstm.config import Task, TrainConfig
from textlstm.corpus.preparation.corpus_folder import load_split
from textlstm.fitting.labelled_rows import LabelledRows
from textlstm.fitting.networks import encode_rows
from textlstm.fitting.sampling import bounded_rows, linear_rows
from textlstm.models.network.batch import DeviceSplit
from textlstm.models.network.batch_plan import plan_epoch
from textlstm.training.batches import Epoch
from textlstm.vocabulary import Vocabulary

def peak():
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    Path("/proc/self/clear_refs").write_text("5")  # the next peak is that of the next step
    print(int(lines["VmHWM"].split()[0]) / 1000)

folder, labels = Path(sys.argv[1]), tuple(sys.argv[2:])
config = TrainConfig()
peak()
split = load_split(folder / "train.arrow", digest="")
targets = split.targets(labels, Task.single_label)
rows = LabelledRows(split, targets, split.select(np.arange(1000)), targets[:1000])
linear_rows(bounded_rows(rows, seed=1), seed=1)
peak()
vocabulary = Vocabulary.build(split.token_counts(), max_size=50_000, min_count=1)
peak()
encoded = encode_rows(split, vocabulary, targets, config, work_dir=folder)
peak()
on_device = DeviceSplit(encoded, torch.device("cpu"))
plan = plan_epoch(on_device.lengths, batch_size=64, seed=1, epoch=0, weights=None)

class NoOptimizer:
    words_frozen = True
    lookup = staticmethod(lambda token_ids: None)

epoch, number = Epoch(plan, torch.from_numpy(plan.rows), on_device, NoOptimizer(), None), 0
while epoch.batch(number) is not None:
    number += 1
peak()
np.unique(split.hashes())
peak()
"""


def repeated(source: Path, target: Path, times: int) -> int:
    """Write the rows of the table `source` `times` times into `target`; return how many rows that makes."""
    with pa.OSFile(str(source)) as stream, pa.ipc.open_file(stream) as reader:
        with pa.ipc.new_file(str(target), reader.schema) as writer:
            for _ in range(times):
                for number in range(reader.num_record_batches):
                    writer.write_batch(reader.get_batch(number))
        num_rows: int = reader.read_all().num_rows
    return times * num_rows


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--times", default="1,3,10")
    parser.add_argument("--output", default="")
    arguments = parser.parse_args()
    with pa.OSFile(str(arguments.prepared / "train.arrow")) as stream:
        labels = pa.ipc.open_file(stream).read_all().column("labels").combine_chunks().flatten().unique().to_pylist()
    lines = [f"| training rows | {' | '.join(f'{step}, MB' for step in _STEPS)} |", "|---" * (1 + len(_STEPS)) + "|"]
    for times in map(int, arguments.times.split(",")):
        with tempfile.TemporaryDirectory(dir=arguments.prepared.parent) as work:
            num_rows = repeated(arguments.prepared / "train.arrow", Path(work) / "train.arrow", times)
            done = run([sys.executable, "-c", _CHILD, work, *sorted(labels)], limit_seconds=7200, work=Path(work))
        if done.exit_code:
            raise SystemExit(done.output)
        peaks = [f"{float(line):,.0f}" for line in done.output.split()]
        lines.append(f"| {num_rows:,} | {' | '.join(peaks)} |")
        print(lines[-1], file=sys.stderr, flush=True)
    publish("\n".join(lines) + "\n", arguments.output, section="row memory")
    return 0


if __name__ == "__main__":
    sys.exit(main())
