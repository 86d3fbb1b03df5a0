import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
FEW = ("step:7", "tensors:5", "json:12")
MANY = (*[f"{where}:{n}" for n in (1, 3, 2) for where in ("step", "tensors", "between", "json")], *["step:4"] * 8)


def _train(folder: Path, *points: str, mode: str = "exact") -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": f"{HERE.parents[1] / 'src'}:{HERE}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "kill_harness.py"), str(folder), mode, *points]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return _train(tmp_path_factory.mktemp("uninterrupted"))


@pytest.mark.parametrize("points", [FEW, pytest.param(MANY, marks=pytest.mark.long)], ids=["3 kills", "20 kills"])
def test_killed_training_ends_with_equal_bytes(
    points: tuple[str, ...], uninterrupted: dict[str, Any], tmp_path: Path
) -> None:
    killed = _train(tmp_path, *points)
    assert killed["weights"] == uninterrupted["weights"]
    assert killed["history"] == uninterrupted["history"]
    assert uninterrupted["events"] == []
    assert len(killed["events"]) >= len(points) - 4  # those killed before their first checkpoint began anew
    assert all(event.startswith("continued from epoch ") for event in killed["events"])


def test_training_that_forgets_a_batch_ends_with_other_bytes(uninterrupted: dict[str, Any], tmp_path: Path) -> None:
    """Negative control: the comparison sees a single batch left out."""
    assert _train(tmp_path, "step:7", mode="forgetful")["weights"] != uninterrupted["weights"]
