"""Where the seconds of `textlstm train` go, as the side-by-side table measures it, start-up included.

    python benchmarks/training_profile.py [--corpora NAME ...]

Each corpus is trained twice in a process of its own: with the default settings, and with the network that the Keras
peer is given (64 units, four epochs, batches of 64, the first 100 words of a text, no parts of speech), so that like is
compared with like. The table ends with what the network had to do: words read, and multiply-adds for each of them.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

from peer_rows import CORPORA, write_rows
from peers import SYSTEMS, train_command

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".bench" / "profile"
SYSTEMS_PROFILED = (SYSTEMS[0], SYSTEMS[2])
"""The defaults, and the network of the Keras peer."""
STEPS = {
    "prepare text": ("textlstm.stages.training", "prepared"),
    "vocabulary, encoding": ("textlstm.fitting.classifier", "network_inputs"),
    "network": ("textlstm.fitting.classifier", "fit_networks"),
    "score the test rows": ("textlstm.stages.training", "evaluate_split"),
}
"""What is timed: functions that do not call each other."""
START, REST = "start: Python, torch, settings", "linear models beyond the network, calibration, saving"


def main() -> int:
    """Profile and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", nargs="*", default=["ag_news_10k", "bbc"], choices=CORPORA)
    parser.add_argument("--one", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        profile(arguments.one)
        return 0
    corpora = Path(os.environ.get("TEXTLSTM_CORPORA", ROOT.parent / "shared" / "data"))
    columns: dict[str, dict[str, float]] = {}
    for name in arguments.corpora:
        rows = write_rows(name, corpora, WORK / name, limit=0)
        if rows is None:
            print(f"skipped: no {name} under TEXTLSTM_CORPORA", file=sys.stderr)
            continue
        for system in SYSTEMS_PROFILED:
            work = WORK / name / system.folder
            shutil.rmtree(work, ignore_errors=True)  # texts that are prepared already would cost nothing
            _, _, _, *command = train_command(system, rows, work / "model")
            columns[f"{name}, {system.name}"] = measure(command)
    if columns:
        print(table(columns))
    return 0


def measure(command: list[str]) -> dict[str, float]:
    """Return seconds by step, and what the network did, of one training in a process of its own.

    `command` is the stage and its settings, as `textlstm` takes them.
    """
    started = time.time()
    environment = {**os.environ, "STARTED": str(started)}
    line = [sys.executable, str(Path(__file__).resolve()), "--one", *command]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    found["all"] = time.time() - started
    found[REST] = max(0.0, found["all"] - found[START] - sum(found[step] for step in STEPS))
    return found


def profile(command: list[str]) -> None:
    """Train in this process; print the seconds of each step as the last line."""
    from textlstm.cli import main as textlstm

    seconds = dict.fromkeys(STEPS, 0.0)
    work: dict[str, float] = {}
    for step, (module, name) in STEPS.items():
        holder = import_module(module)
        setattr(holder, name, timed(getattr(holder, name), seconds, step, work))
    seconds[START] = time.time() - float(os.environ["STARTED"])
    if code := textlstm(command):
        raise SystemExit(code)
    print(json.dumps(seconds | work))


def timed(function: Callable[..., Any], seconds: dict[str, float], step: str, work: dict[str, float]) -> Any:
    """Return `function`, its time added to `seconds`; of the network, what it did goes into `work`."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        result = function(*args, **kwargs)
        seconds[step] += time.perf_counter() - started
        if step == "network":
            networks, results = result
            inputs = args[0]
            work["epochs"] = float(sum(len(one.history) for one in results))
            work["words an epoch"] = float(inputs.train.offsets[-1])
            work["multiply-adds a word"] = float(
                sum(value.numel() for name, value in networks[0].named_parameters() if name.startswith("encoder."))
            )
        return result

    return run


def table(columns: dict[str, dict[str, float]]) -> str:
    """Return the profiles as a Markdown table, one column a training."""
    names = list(columns)
    lines = [f"| seconds | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for step in (START, *STEPS, REST, "all"):
        lines.append(f"| {step} | " + " | ".join(f"{columns[name][step]:.1f}" for name in names) + " |")
    for figure in ("epochs", "words an epoch", "multiply-adds a word"):
        lines.append(f"| {figure} | " + " | ".join(f"{columns[name][figure]:,.0f}" for name in names) + " |")
    speeds = [
        columns[name]["epochs"] * columns[name]["words an epoch"] / columns[name]["network"] / 1000 for name in names
    ]
    lines.append("| thousand words/s in step network | " + " | ".join(f"{speed:.1f}" for speed in speeds) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
