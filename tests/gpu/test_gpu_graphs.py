"""Steps that are captured as CUDA graphs give what steps give that are launched kernel by kernel."""

import importlib
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from textlstm.config import TrainingPrecision
from textlstm.errors import Interrupted
from textlstm.models.network.batch import DeviceSplit
from textlstm.training import graphs

sys.path.insert(0, str(Path(__file__).parent))
gpu = importlib.import_module("gpu_cases")

only_pretended = pytest.mark.skipif(torch.cuda.is_available(), reason="a real GPU keeps no ledger")
FEW_SHAPES = {"batch_tokens": 96, "epochs": 4, "learning_rate": 0.002}
"""Small steps: with .01 the last bit of a gradient near 0 turned the sign of an Adam step, which moved a logit by .003."""
QUICK = ("lstm", "gru", "rnn", "cnn_lstm", "adversarial", "words frozen for an epoch", "neither average nor clipping")
NAMES = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.long)
    for name, case in gpu.CASES.items()
    if not case.has_dropout
]


def _assert_like(found: Any, expected: Any, *, tolerance: float) -> None:
    for one, other in zip(expected.result.history, found.result.history, strict=True):
        assert other.train_loss == pytest.approx(one.train_loss, abs=tolerance)
        assert other.validation_loss == pytest.approx(one.validation_loss, abs=tolerance)
    np.testing.assert_allclose(found.logits, expected.logits, atol=10 * tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_captured_steps_train_as_a_cpu_does(name: str) -> None:
    on_gpu = gpu.train(gpu.CASES[name], on_gpu=True, **FEW_SHAPES)
    if on_gpu.ledger is not None:
        assert on_gpu.ledger.captures >= 2
        assert not on_gpu.ledger.waits
        assert not on_gpu.result.events
    _assert_like(on_gpu, gpu.train(gpu.CASES[name], on_gpu=False, **FEW_SHAPES), tolerance=2e-5)


@pytest.mark.parametrize("precision", [TrainingPrecision.fp32, TrainingPrecision.bf16])
def test_captured_steps_draw_the_dropout_of_their_batch(
    precision: TrainingPrecision, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = gpu.CASES["default dropouts"]
    captured = gpu.train(case, on_gpu=True, precision=precision, **FEW_SHAPES)
    monkeypatch.setattr(graphs, "_MOST_GRAPHS", 0)
    launched = gpu.train(case, on_gpu=True, precision=precision, **FEW_SHAPES)
    _assert_like(captured, launched, tolerance=1e-5)


@only_pretended
def test_each_shape_is_captured_once_and_a_captured_step_is_three_launches(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[graphs.StepGraphs] = []
    plain = graphs.StepGraphs.__init__

    def noted(self: graphs.StepGraphs, *args: Any, **kwargs: Any) -> None:
        plain(self, *args, **kwargs)
        made.append(self)

    monkeypatch.setattr(graphs.StepGraphs, "__init__", noted)
    trained = gpu.train(gpu.CASES["default dropouts"], on_gpu=True, precision=TrainingPrecision.bf16, **FEW_SHAPES)
    (its_graphs,) = made
    often = [shape for shape, number in its_graphs._num_seen.items() if number > graphs._STEPS_BEFORE]
    assert trained.ledger.captures == len(its_graphs) == len(often) >= 2
    # The numbers of the rows, the learning rate, the graph.
    sys.stdout.write(f"launches a step, captured or not: {trained.launches}\n")
    assert min(trained.launches) == 3
    assert statistics.median(trained.launches[-4:]) == 3


@only_pretended
def test_batches_of_rows_are_not_captured() -> None:
    assert gpu.train(gpu.CASES["lstm"], on_gpu=True).ledger.captures == 0


@only_pretended
def test_a_step_that_cannot_be_captured_is_launched_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = DeviceSplit.batch

    def waiting(self: DeviceSplit, rows: torch.Tensor, *, width: int) -> Any:
        assert rows.sum().item() >= 0  # which the host may not ask while it captures
        return plain(self, rows, width=width)

    whole = gpu.train(gpu.CASES["lstm"], on_gpu=False, **FEW_SHAPES)
    monkeypatch.setattr(DeviceSplit, "batch", waiting)
    trained = gpu.train(gpu.CASES["lstm"], on_gpu=True, **FEW_SHAPES)
    (event,) = trained.result.events
    assert event.startswith(
        "steps are not captured as CUDA graphs: CUDA error: operation not permitted when stream is capturing"
    )
    _assert_like(trained, whole, tolerance=2e-4)


@pytest.mark.parametrize("num_steps", [5, 25])
def test_stopped_training_continues_without_its_graphs(num_steps: int, tmp_path: Path) -> None:
    case = gpu.CASES["default dropouts"]
    whole = gpu.train(case, on_gpu=True, **FEW_SHAPES)
    with pytest.raises(Interrupted):
        gpu.train(case, on_gpu=True, checkpoint_dir=tmp_path, stop=gpu.stop_after(num_steps), **FEW_SHAPES)
    _assert_like(gpu.train(case, on_gpu=True, checkpoint_dir=tmp_path, **FEW_SHAPES), whole, tolerance=1e-5)
