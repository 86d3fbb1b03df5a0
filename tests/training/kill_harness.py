"""Trains the toy task in forked children that kill themselves at given points, until one reaches the end.

Arguments: a folder for checkpoints, `exact` or `forgetful`, and the points: `step:N` (after the N-th step of a child),
`tensors:N`, `between:N`, `json:N` (in the N-th checkpoint of a child: with half of the tensors written, with the JSON
file not begun, with half of it written). Prints the digest of the final weights and the history without times.
"""

import hashlib
import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path

import torch
import toy

from textlstm.training import checkpoints
from textlstm.training.job import Progress, TrainingJob
from textlstm.training.loop import fit


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def train(folder: Path, point: str) -> None:
    where, _, number = point.partition(":")
    counts = {"step": 0, "files": 0}

    def stop() -> int:
        counts["step"] += 1
        if where == "step" and counts["step"] == int(number):
            die()
        return 0

    write = checkpoints.replace_file

    def dying_write(path: Path, data: bytes) -> None:
        counts["files"] += 1
        wanted = 2 * int(number) - (where == "tensors") if number else 0
        if where in {"tensors", "between", "json"} and counts["files"] == wanted:
            if where != "between":
                path.with_name(f".{path.name}.{os.getpid()}.0.tmp").write_bytes(data[: len(data) // 2])
            die()
        write(path, data)

    checkpoints.replace_file = dying_write
    job = TrainingJob(
        toy.network(),
        toy.split(300, seed=1),
        toy.split(80, seed=2),
        config=toy.config(epochs=3, checkpoint_seconds=1e-6),
        task=toy.TASK,
        seed=3,
        freeze_epochs=1,
    )
    result = fit(job, checkpoint_dir=folder, stop=stop)
    weights = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in result.best_state.values())).hexdigest()
    history = [
        {k: v for k, v in asdict(r).items() if k not in {"tokens_per_second", "seconds"}} for r in result.history
    ]
    sys.stdout.write(json.dumps({"weights": weights, "history": history, "events": result.events}))
    sys.stdout.flush()


def main() -> None:
    torch.set_num_threads(1)
    folder, mode, *points = sys.argv[1:]
    if mode == "forgetful":
        from_json = Progress.from_json
        Progress.from_json = classmethod(lambda _cls, data: from_json({**data, "batch": data["batch"] + 1}))
    for point in [*points, "none"]:
        child = os.fork()
        if child == 0:
            train(Path(folder), point)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        died = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        if died != (point != "none"):
            sys.exit(f"{point}: unexpected end, status {status}")


if __name__ == "__main__":
    main()
