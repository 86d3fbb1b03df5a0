"""The program for ten minutes on a card runs to its end, here in its quick form on a CPU."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"


@pytest.mark.long
def test_every_section_of_the_benchmark_runs() -> None:
    command = [sys.executable, str(PROGRAM), "--device", "cpu", "--quick"]
    page = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    for wanted in ("**Card.**", "| two calls |", "| batch_size |", "no step waits", "equal bytes", "**Prediction**"):
        assert wanted in page
