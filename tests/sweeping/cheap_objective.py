"""Objectives for processes: found by path, so that a spawned process can import them. No torch."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path


def settings(overrides: list[str]) -> dict[str, float]:
    return {key: float(value) for key, _, value in (override.partition("=") for override in overrides)}


def distance(overrides: list[str], report: Callable[[int, float], None]) -> dict[str, float]:
    """Best at a = 3, b = 0.5."""
    values = settings(overrides)
    figure = 1 / (1 + abs(values["a"] - 3) + abs(values.get("b", 0.5) - 0.5))
    for epoch in range(1, 4):
        report(epoch, figure * epoch / 3)
    return {"macro_f1": figure, "accuracy": figure / 2, "model_size": values["a"], "label_speed": 1.0}


def slow(folder: str, overrides: list[str], report: Callable[[int, float], None]) -> dict[str, float]:
    """`distance`, with a mark on the disk for each start."""
    with (Path(folder) / "starts").open("a") as file:
        file.write(" ".join(overrides) + "\n")
    time.sleep(0.15)
    return distance(overrides, report)


def troubled(overrides: list[str], report: Callable[[int, float], None]) -> dict[str, float]:
    """a = 1 raises, a = 2 kills its process, a = 4 gives no figure."""
    a = settings(overrides)["a"]
    if a == 1:
        raise ValueError("no such luck")
    if a == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"accuracy": 1.0} if a == 4 else {"macro_f1": a}


def mortal(folder: str, overrides: list[str], report: Callable[[int, float], None]) -> dict[str, float]:
    """`distance`, after a start that kills its process: each start of a = 2, the first one of others."""
    a = settings(overrides)["a"]
    path = Path(folder) / "starts"
    before = path.read_text().split() if path.exists() else []
    path.write_text(" ".join([*before, f"{a:.0f}"]))
    report(1, 0.5)
    if a == 2 or before.count(f"{a:.0f}") == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return distance(overrides, report)
