"""Trains the toy task in each process of `torchrun`; process 0 writes the digest of its weights and its reports."""

import hashlib
import json
import os
import sys
from pathlib import Path

import toy

from textlstm.config import TrainingPrecision
from textlstm.training.job import TrainingJob
from textlstm.training.loop import fit


def main() -> None:
    folder = Path(sys.argv[1])
    reports = []
    job = TrainingJob(
        toy.network(seed=1 + int(os.environ["RANK"])),  # other first weights in process 1 must not matter
        toy.split(400, seed=1),
        toy.split(120, seed=2),
        config=toy.config(epochs=3, deterministic=False, num_threads=2, precision=TrainingPrecision.fp32),
        task=toy.TASK,
        seed=3,
    )
    result = fit(
        job,
        checkpoint_dir=folder / "checkpoints",
        on_epoch=reports.append,
    )
    weights = b"".join(tensor.numpy().tobytes() for tensor in result.best_state.values())
    content = {"weights": hashlib.sha256(weights).hexdigest(), "macro_f1": [report.macro_f1 for report in reports]}
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(content))


if __name__ == "__main__":
    main()
