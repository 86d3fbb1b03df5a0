"""What the number of rows of a batch costs an LSTM on a CPU: forward and backward, one direction, one thread.

    python benchmarks/row_groups.py [--rows N ...] [--rounds N] [--precision auto] [--output FILE]

Inputs of 100 dimensions, 128 units, 45 time steps, in the precision that `training.precision` chooses here. The
numbers of rows take turns; a row of the table is the lower quartile over the rounds, after one that is not counted.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from textlstm.config import TrainingPrecision
from textlstm.models.network.precision import NumberFormat, computing_in, resolve_precision

CPU = torch.device("cpu")
NUM_STEPS, INPUT_SIZE, HIDDEN_SIZE = 45, 100, 128
ROWS = [16, 24, 31, 32, 40, 41, 48, 53, 58, 61, 62, 64, 67, 72, 79, 80, 89, 96, 97, 112, 128]


def main() -> int:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="*", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--precision", type=TrainingPrecision, default=TrainingPrecision.auto)
    parser.add_argument("--output", default="")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    precision = resolve_precision(arguments.precision, CPU)
    seconds = measure(arguments.rows, precision, rounds=arguments.rounds)
    lines = [
        f"Microseconds, torch {torch.__version__}, {precision}, {torch.backends.cpu.get_cpu_capability()}",
        "",
        "| rows | a time step | a row of a time step |",
        "|---|---|---|",
    ]
    for rows, found in seconds.items():
        step = float(np.quantile(found[1:], 0.25)) / NUM_STEPS * 1e6
        lines.append(f"| {rows} | {step:.0f} | {step / rows:.2f} |")
    page = "\n".join(lines) + "\n"
    print(page)
    if arguments.output:
        Path(arguments.output).write_text(page, encoding="utf-8")
    return 0


def measure(numbers: list[int], precision: NumberFormat, *, rounds: int) -> dict[int, list[float]]:
    """Return the seconds of each round, the first included, for each number of rows."""
    cell = nn.LSTM(INPUT_SIZE, HIDDEN_SIZE)
    inputs = {rows: torch.randn(NUM_STEPS, rows, INPUT_SIZE) for rows in numbers}
    seconds: dict[int, list[float]] = {rows: [] for rows in numbers}
    for _ in range(rounds + 1):
        for rows in numbers:
            began = time.perf_counter()
            _forward_and_backward(cell, inputs[rows], precision)
            seconds[rows].append(time.perf_counter() - began)
    return seconds


def _forward_and_backward(cell: nn.LSTM, inputs: Tensor, precision: NumberFormat) -> None:
    with computing_in(precision, CPU):
        outputs = cell(inputs)[0]
    torch.autograd.grad(outputs, list(cell.parameters()), torch.ones_like(outputs))


if __name__ == "__main__":
    sys.exit(main())
