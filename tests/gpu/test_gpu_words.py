"""Large word tables on a GPU are updated at the words of the batch alone, with the results of dense updates."""

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
from textlstm.training import optimizer, sparse_adamw

sys.path.insert(0, str(Path(__file__).parent))
gpu = importlib.import_module("gpu_cases")

only_pretended = pytest.mark.skipif(torch.cuda.is_available(), reason="a real GPU keeps no ledger")
NAMES = ("lstm", "subwords", "words frozen for an epoch", "neither average nor clipping", "adversarial", "frozen words")
FEW_SHAPES = {"batch_tokens": 96, "epochs": 4, "learning_rate": 0.002}
QUICK = (("lstm", {}), ("words frozen for an epoch", FEW_SHAPES))


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> list[sparse_adamw.SparseAdamW]:
    """Let every table be large enough, and windows be so short that several pass; give the tables."""
    found: list[sparse_adamw.SparseAdamW] = []
    plain = sparse_adamw.SparseAdamW.__init__

    def noted(self: sparse_adamw.SparseAdamW, *args: Any, **kwargs: Any) -> None:
        plain(self, *args, **kwargs)
        found.append(self)

    monkeypatch.setattr(sparse_adamw.SparseAdamW, "__init__", noted)
    monkeypatch.setattr(optimizer, "pays", lambda _table, *, batch_tokens: True)
    monkeypatch.setattr(sparse_adamw, "WINDOW", 4)
    return found


def _assert_like(found: Any, expected: Any, *, tolerance: float = 1e-4) -> None:
    for one, other in zip(expected.result.history, found.result.history, strict=True):
        assert other.train_loss == pytest.approx(one.train_loss, abs=tolerance)
        assert other.validation_loss == pytest.approx(one.validation_loss, abs=tolerance)
    np.testing.assert_allclose(found.logits, expected.logits, atol=10 * tolerance)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        pytest.param(name, more, marks=() if (name, more) in QUICK else pytest.mark.long)
        for name in NAMES
        for more in ({}, FEW_SHAPES)
    ],
)
def test_words_are_trained_as_on_a_cpu(name: str, more: dict[str, Any], made: list[sparse_adamw.SparseAdamW]) -> None:
    on_gpu = gpu.train(gpu.CASES[name], on_gpu=True, **more)
    assert len(made) == 1
    if on_gpu.ledger is not None:
        assert not on_gpu.ledger.waits
        assert bool(on_gpu.ledger.captures) == bool(more)
        assert not on_gpu.result.events
    on_cpu = gpu.train(gpu.CASES[name], on_gpu=False, **more)
    _assert_like(on_gpu, on_cpu)
    assert on_gpu.words_moved == pytest.approx(on_cpu.words_moved, abs=1e-4)


@pytest.mark.parametrize(
    ("first", "second"), [(True, False), (False, True), pytest.param(True, True, marks=pytest.mark.long)]
)
def test_stopped_training_continues_on_any_device(first: bool, second: bool, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        gpu.train(gpu.CASES["lstm"], on_gpu=first, checkpoint_dir=tmp_path, stop=gpu.stop_after(7))
    continued = gpu.train(gpu.CASES["lstm"], on_gpu=second, checkpoint_dir=tmp_path)
    _assert_like(continued, gpu.train(gpu.CASES["lstm"], on_gpu=False))


def test_step_whose_gradient_is_not_finite_changes_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    from textlstm.training.gradients import Gradients

    plain, steps = Gradients.backward, []

    def broken_once(self: Gradients, *args: Any, **kwargs: Any) -> torch.Tensor:
        loss = plain(self, *args, **kwargs)
        steps.append(1)
        if len(steps) == 3:
            for parameter in self.network.parameters():
                parameter.grad.mul_(float("nan"))
        return loss

    monkeypatch.setattr(Gradients, "backward", broken_once)
    # Without an average: the CPU counts a step that is left out in none, a GPU, which does not know, does.
    case = gpu.CASES["neither average nor clipping"]
    on_gpu = gpu.train(case, on_gpu=True)
    steps.clear()
    on_cpu = gpu.train(case, on_gpu=False)
    assert [report.num_skipped for report in on_gpu.result.history] == [1, 1]
    _assert_like(on_gpu, on_cpu)


def test_deterministic_trainings_update_the_whole_table(made: list[sparse_adamw.SparseAdamW]) -> None:
    gpu.train(gpu.CASES["lstm"], on_gpu=True, deterministic=True)
    assert not made


@only_pretended
def test_step_launches_a_bounded_number_of_kernels() -> None:
    trained = gpu.train(gpu.CASES["default dropouts"], on_gpu=True, precision=TrainingPrecision.bf16)
    median = statistics.median(trained.launches)
    sys.stdout.write(f"launches a step with a large table: {median:g}\n")
    assert median <= 172
