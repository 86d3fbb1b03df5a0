"""The program for ten minutes on a card runs to its end: in its quick form on a CPU, and on a pretended GPU."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"
sys.path.insert(0, str(Path(__file__).parent))
gpu = importlib.import_module("gpu_cases")

ONLY_TORCH_AND_NUMPY = """
import runpy, sys

MISSING = {"pyarrow", "pandas", "spacy", "scipy", "sklearn", "mlflow", "rich", "safetensors"}

class Bare:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in MISSING else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Bare(finder) for finder in sys.meta_path]
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
WANTED = (
    *("**Card.**", "| two calls |", "| a batch | graphs |", "Steps launched one by one: no step waits"),
    *("written by the optimizer |", "by a thread, at once |"),
    *("Steps captured as graphs: no step waits", "equal bytes", "**Prediction**", "**A training**", "| seconds of the"),
)


@pytest.mark.long
def test_every_section_of_the_benchmark_runs_with_torch_and_numpy_alone() -> None:
    command = [sys.executable, "-c", ONLY_TORCH_AND_NUMPY, str(PROGRAM), "--device", "cpu", "--quick"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    for wanted in WANTED:
        assert wanted in done.stdout


def _program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_program", PROGRAM)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_program"] = module  # where NamedTuple looks its annotations up
    spec.loader.exec_module(module)
    return module


class _Profile:
    """A profiler that has seen two launches, each of which kept the card busy for half of the time."""

    def __init__(self, **_: object) -> None:
        pass

    def __enter__(self) -> "_Profile":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def events(self) -> list[Any]:
        host, card = torch.autograd.DeviceType.CPU, torch.autograd.DeviceType.CUDA
        made = [("cudaLaunchKernel", host, 0, 1), ("kernel", card, 0, 10), ("cudaGraphLaunch", host, 2, 3)]
        made += [("kernel", card, 5, 10), ("kernel", card, 15, 20)]
        return [
            SimpleNamespace(name=name, device_type=device, time_range=SimpleNamespace(start=start, end=end))
            for name, device, start, end in made
        ]


@pytest.mark.long
@pytest.mark.skipif(torch.cuda.is_available(), reason="a real GPU runs the program itself")
def test_every_section_takes_the_paths_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    program = _program()
    for name, answer in {
        "max_memory_allocated": lambda: 5e6,
        "set_sync_debug_mode": lambda _: None,
        "set_per_process_memory_fraction": lambda _: None,
        "get_device_properties": lambda _: SimpleNamespace(total_memory=80e9),
    }.items():
        monkeypatch.setattr(torch.cuda, name, answer)
    monkeypatch.setattr(program, "profile", _Profile)
    # The pretended device has no packed sequences; textlstm itself uses none.
    cells = program._cells
    monkeypatch.setattr(program, "_cells", lambda *of, kind: cells(*of, kind=kind.replace("packed", "one call")))
    sections = (
        "card",
        "cells",
        "steps",
        "alternatives",
        "waits",
        "equality",
        "memory",
        "prediction",
        "training",
        "bars",
    )
    lines: list[str] = []
    with gpu.a_gpu() as ledger:
        machine = program.Machine(torch.device("cuda", 0), quick=True)
        for section in sections:
            lines += getattr(program, section)(machine)
    page = "\n".join(lines)
    for wanted in (
        *WANTED,
        "pretended, torch",
        "In 6 GB",
        "two streams, one |",
        "2,000 words: those of the batch, all",
    ):
        assert wanted in page
    assert ledger.captures > 2
    assert program.FOUND["default busy_share"] == 0.75
    assert program.FOUND["default num_graphs"] >= 2
    assert program.FOUND["gap 400"] < 1e-3
    assert "CUDA graphs" not in page.replace("captured as graphs", "")
