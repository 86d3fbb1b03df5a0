"""A training that was stopped on one device is continued on another."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from textlstm.errors import Interrupted
from textlstm.training.gradients import is_out_of_memory

sys.path.insert(0, str(Path(__file__).parent))
gpu = importlib.import_module("gpu_cases")


@pytest.mark.parametrize("name", ["lstm", "neither average nor clipping", "words frozen for an epoch", "char_cnn"])
@pytest.mark.parametrize(("first", "second"), [("cpu", "gpu"), ("gpu", "cpu"), ("gpu", "gpu")])
def test_stopped_training_continues_on_any_device(name: str, first: str, second: str, tmp_path: Path) -> None:
    case = gpu.CASES[name]
    for num_steps in (2, 6):  # in the first epoch and in the second, on the other device both times
        with pytest.raises(Interrupted):
            gpu.train(case, on_gpu=first == "gpu", checkpoint_dir=tmp_path, stop=gpu.stop_after(num_steps))
    continued = gpu.train(case, on_gpu=second == "gpu", checkpoint_dir=tmp_path)
    whole = gpu.train(case, on_gpu=False)
    assert [event.partition(" ")[0] for event in continued.result.events][-1] == "continued"
    for one, other in zip(whole.result.history, continued.result.history, strict=True):
        assert other.train_loss == pytest.approx(one.train_loss, abs=1e-4)
    np.testing.assert_allclose(continued.logits, whole.logits, atol=1e-3)


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "CUDA error: out of memory",
        "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory",
    ],
)
def test_memory_may_run_out_inside_a_library(message: str) -> None:
    assert is_out_of_memory(RuntimeError(message))
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert not is_out_of_memory(RuntimeError("CUDA error: device-side assert triggered"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="a real GPU keeps no ledger")
def test_memory_is_given_back_before_a_batch_is_tried_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    from textlstm.models.network.network import TextNetwork

    embed, seen = TextNetwork.embed, []

    def small_memory(self: TextNetwork, batch: object) -> torch.Tensor:
        if self.training and len(batch.lengths) > 12:
            raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")
        return embed(self, batch)

    monkeypatch.setattr(TextNetwork, "embed", small_memory)
    with gpu.a_gpu() as ledger:
        result = gpu.train(gpu.CASES["lstm"], on_gpu=False).result
        seen.append(ledger.calls["empty_cache"])
    assert len(result.events) == seen[0] >= 1
    monkeypatch.undo()
    whole = gpu.train(gpu.CASES["lstm"], on_gpu=False).result
    assert result.history[-1].train_loss == pytest.approx(whole.history[-1].train_loss, abs=1e-4)
