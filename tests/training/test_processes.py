import hashlib
import importlib
import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from textlstm.config import TrainingConfig, TrainingPrecision
from textlstm.errors import Interrupted, TextLSTMError
from textlstm.training.job import FitResult, TrainingJob
from textlstm.training.loop import fit
from textlstm.training.workers import num_processes

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
toy = importlib.import_module("toy")
SETTINGS = {"epochs": 3, "deterministic": False, "num_threads": 2, "precision": TrainingPrecision.fp32}


def _fit(*, network: object = None, seed: int = 3, **settings: object) -> FitResult:
    calls = {name: settings.pop(name) for name in ("on_epoch", "stop", "checkpoint_dir") if name in settings}
    config = toy.config(**SETTINGS | settings)
    train, validation = toy.split(400, seed=1), toy.split(120, seed=2)
    job = TrainingJob(network or toy.network(), train, validation, config=config, task=toy.TASK, seed=seed)
    return fit(job, **calls)


def _digest(result: FitResult) -> str:
    return hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in result.best_state.values())).hexdigest()


def test_two_processes_take_the_steps_of_one() -> None:
    no_dropout = {"word_dropout": 0.0, "locked_dropout": 0.0, "head_dropout": 0.0}
    one = _fit(network=toy.network(**no_dropout), epochs=2, num_workers=1)
    two = _fit(network=toy.network(**no_dropout), epochs=2, num_workers=2)
    assert [report.num_steps for report in two.history] == [report.num_steps for report in one.history]
    for first, second in zip(one.history, two.history, strict=True):
        assert second.train_loss == pytest.approx(first.train_loss, abs=1e-4)
        assert second.macro_f1 == pytest.approx(first.macro_f1, abs=0.02)
    for name, tensor in one.best_state.items():
        torch.testing.assert_close(two.best_state[name], tensor, rtol=0, atol=5e-3)


@pytest.mark.skipif(os.name != "posix", reason="torchrun with gloo is tested on POSIX systems")
def test_torchrun_gives_what_two_workers_give(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{HERE.parents[1] / 'src'}:{HERE}"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += [str(HERE / "torchrun_harness.py"), str(tmp_path)]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=240)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    result = _fit(num_workers=2)
    assert first == {"weights": _digest(result), "macro_f1": [report.macro_f1 for report in result.history]}
    assert second == {"weights": first["weights"], "macro_f1": []}  # equal weights, and process 0 alone reports
    assert first["weights"] != _digest(_fit(num_workers=2, seed=4))  # negative control
    assert len(list((tmp_path / "checkpoints").glob("*.json"))) == 2


@pytest.mark.long
def test_stopped_workers_continue_with_equal_bytes(tmp_path: Path) -> None:
    asked = []

    def stop() -> int:
        asked.append(1)
        return 15 if len(asked) == 9 else 0

    with pytest.raises(Interrupted) as caught:
        _fit(num_workers=2, checkpoint_dir=tmp_path, stop=stop)
    assert caught.value.exit_code == 143
    continued = _fit(num_workers=2, checkpoint_dir=tmp_path)
    assert continued.events == ["continued from epoch 1, step 9"]
    assert _digest(continued) == _digest(_fit(num_workers=2))


def test_killed_worker_ends_the_training_with_a_remedy() -> None:
    def kill_worker(_report: object) -> None:
        (worker,) = multiprocessing.active_children()
        worker.kill()
        worker.join()

    with pytest.raises(TextLSTMError) as caught:
        _fit(num_workers=2, on_epoch=kill_worker)
    assert str(caught.value) == (
        "training process trainer-1 ended with exit code -9; the same command continues from the last checkpoint; "
        "training.num_workers=1 needs less memory"
    )
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("settings", "num_tokens", "is_cpu", "expected"),
    [
        ({"num_threads": 4}, 1_000_000, True, 4),
        ({"num_threads": 4, "batch_size": 32}, 1_000_000, True, 2),  # fewer rows a process are slow
        ({"num_threads": 4, "batch_size": 8}, 1_000_000, True, 1),
        ({"num_threads": 1}, 1_000_000, True, 1),
        ({"num_threads": 4}, 10_000, True, 1),  # done before a process has started
        ({"num_threads": 4, "num_workers": 3}, 10_000, True, 3),
        ({"num_threads": 4, "num_workers": 3}, 10_000, False, 1),
        ({"num_threads": 4, "num_workers": 3, "deterministic": True}, 10_000, True, 1),
    ],
)
def test_number_of_processes(settings: dict[str, object], num_tokens: int, is_cpu: bool, expected: int) -> None:
    config = TrainingConfig(**{"batch_size": 64, "num_workers": 0} | settings)
    assert num_processes(config, num_tokens=num_tokens, is_cpu=is_cpu) == expected
